"""The main job, told from outside: through pages, management commands and Stripe's interface.

A user signs up, adds a card, describes a data set and runs an epidemic; one file is refused. A
month passes at Stripe, and the invoice arrives by signed webhook.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from demo.visitor import Visitor

from tests.site import Site, running_site

# One worker process tells the whole story, once.
pytestmark = pytest.mark.xdist_group("story")

PASSWORD = "correct-horse-battery"
DATA = "city,people,area\nA,100,3.5\nB,250,4.5\nC,75,1\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def story(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The story's facts, each read where its reader would look."""
    folder = tmp_path_factory.mktemp("uploads")
    visitor = site.visitor()
    sign_up(visitor)
    add_card(site, visitor)
    described = run(site, visitor, "descriptive", data=upload(folder, "cities.csv", DATA))
    epidemic = run(site, visitor, "epidemic")
    refused = run(site, visitor, "descriptive", data=upload(folder, "words.csv", "a,b\nx,y\nz,w\n"))
    visitor.visit("/billing/costs/")
    site.until(lambda: reported(visitor), "the usage reports")
    costs = visitor.texts("table tbody tr")
    site.control.advance(months=1)
    site.control.advance(seconds=7200)
    site.until(lambda: invoice_rows(visitor), "the invoice")
    return {
        "described": described,
        "epidemic": epidemic,
        "refused": refused,
        "costs": costs,
        "invoices": invoice_rows(visitor),
        "lines": invoice_lines(site),
        "ledger": site.control.ledger(),
        "visitor": visitor,
    }


def sign_up(visitor: Visitor) -> None:
    visitor.visit("/accounts/signup/")
    fields = {"username": "reader", "email": "reader@example.com"}
    visitor.submit("main form", {**fields, "password1": PASSWORD, "password2": PASSWORD})
    assert visitor.complaints() == []


def add_card(site: Site, visitor: Visitor) -> None:
    site.until(lambda: button(visitor, "/billing/card/"), "the billing account")
    visitor.submit("main form[action*='card']")
    visitor.submit("form", button="button[value='succeeds']")


def button(visitor: Visitor, path: str) -> bool:
    visitor.visit(path)
    return bool(visitor.texts("main form button"))


def upload(folder: Path, name: str, text: str) -> dict[str, Path]:
    path = folder / name
    path.write_text(text)
    return {"data": path}


def run(
    site: Site, visitor: Visitor, slug: str, data: dict[str, Path] | None = None
) -> dict[str, Any]:
    """Submit a model's form, follow the run to its end, and say what its page tells."""
    visitor.visit(f"/models/{slug}/")
    visitor.submit("main form.inputs", files=data)
    site.until(lambda: is_ended(visitor), f"the run of {slug}")
    terms, values = visitor.texts("dl dt"), visitor.texts("dl dd")
    return {
        "status": visitor.texts(".status")[:1],
        "facts": dict(zip(terms, values, strict=True)),
        "downloads": visitor.links("main a[href*='/outputs/']"),
        "page": visitor.text,
        "url": visitor.url,
    }


def is_ended(visitor: Visitor) -> bool:
    """Whether the page is that of a run that has ended, or of a form sent back."""
    if visitor.texts("main form button") == ["Try again"]:
        # The billing account was not ready: the page offers the way on.
        visitor.submit("main form")
        return False
    visitor.visit(visitor.url.removeprefix(visitor.base_url))
    is_refused = bool(visitor.complaints()) and "Try again" not in visitor.text
    return is_refused or "Details" in visitor.texts("h2")


def reported(visitor: Visitor) -> bool:
    visitor.visit("/billing/costs/")
    states = visitor.texts("table:has(th:nth-child(7)) tbody tr td:last-child")
    return states == ["Accepted", "Accepted"]


def invoice_rows(visitor: Visitor) -> list[str]:
    visitor.visit("/billing/invoices/")
    return [row for row in visitor.texts("table tbody tr") if "Settled" in row]


def invoice_lines(site: Site) -> list[dict[str, Any]]:
    invoices = site.stripe().v1.invoices.list().data
    return [line for invoice in invoices for line in invoice.to_dict()["lines"]["data"]]


def micro_units(receipt: dict[str, Any]) -> int:
    """The cost that a run's page shows, in millionths of the currency unit."""
    return int(Decimal(receipt["facts"]["Cost"].split()[0]).scaleb(6))


def test_both_models_succeed_with_receipt_and_downloads(story: dict[str, Any]) -> None:
    """Status in words, seconds times rate on the page, and every output to be had."""
    ends = [
        (story[name]["status"], micro_units(story[name]) > 0) for name in ("described", "epidemic")
    ]
    assert ends == [(["Succeeded"], True), (["Succeeded"], True)]


def test_the_downloaded_statistics_are_those_of_the_file(story: dict[str, Any]) -> None:
    """The means of the uploaded columns stand in the CSV to download."""
    visitor: Visitor = story["visitor"]
    texts = [
        visitor.download(url).decode(errors="replace") for url in story["described"]["downloads"]
    ]
    mean = Decimal(100 + 250 + 75) / 3
    assert any(f"{mean:.3f}"[:6] in text for text in texts), texts


def test_a_file_that_the_model_cannot_use_is_sent_back_with_the_reason(
    story: dict[str, Any],
) -> None:
    """A file without numbers: no run, the reason at the form."""
    refused = story["refused"]
    assert (refused["facts"], "No column holds numbers" in refused["page"]) == ({}, True)


def test_receipts_meter_and_invoice_agree(story: dict[str, Any]) -> None:
    """Pages, Stripe's meter and the invoice lines tell the same, line by line, rounded once."""
    receipts = sorted([micro_units(story["described"]), micro_units(story["epidemic"])])
    events = story["ledger"]["events"]
    metered = sorted(event["value"] for event in events if event["state"] == "accepted")
    lines = [line for line in story["lines"] if int(Decimal(line["quantity_decimal"]))]
    billed = sorted((int(Decimal(line["quantity_decimal"])), line["amount"]) for line in lines)
    cents = [int((Decimal(r) / 10_000).quantize(Decimal(1), ROUND_HALF_UP)) for r in receipts]
    assert (metered, billed) == (receipts, list(zip(receipts, cents, strict=True)))


def test_the_paid_invoice_is_on_the_users_page(story: dict[str, Any]) -> None:
    """One invoice, paid, its amount the sum of its lines."""
    total = sum(line["amount"] for line in story["lines"])
    assert [f"${total / 100:.2f}" in row for row in story["invoices"]] == [True]


def test_the_costs_page_names_every_charged_run(story: dict[str, Any]) -> None:
    """Two models in the month's table, two runs below it; the refused file in neither."""
    assert len(story["costs"]) == 4


def test_the_catalogue_can_be_set_up_again(site: Site, story: dict[str, Any]) -> None:
    """A second comp_setup_stripe makes no object at Stripe."""
    before = {name: n for name, n in site.control.calls().items() if name.startswith("POST")}
    site.processes.manage("comp_setup_stripe")
    after = {name: n for name, n in site.control.calls().items() if name.startswith("POST")}
    assert after == before
