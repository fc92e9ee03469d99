"""The stand-in as a server: control API, pages, state in a file, its command line."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from comp_billing.testing import Server, StandIn, clock
from comp_billing.testing.control import ControlRefused
from tests.billing.standin_rig import HOUR, Account, in_process, open_shop, over_http


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer, not to be followed."""

    def redirect_request(self, *args: object, **more: object) -> None:
        """None: the answer is raised as an HTTPError."""


def fetch(url: str, **form: str) -> tuple[int, str, str]:
    """Status, where it leads, and the text of a page; a form is sent if given."""
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.build_opener(NoRedirect).open(url, data) as answer:
            return answer.status, "", answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers.get("Location", ""), answer.read().decode()


# -- the control API


def test_the_clock_is_moved_and_the_cycle_worked_off(http_account: Account) -> None:
    """When the call is answered the invoice is there."""
    shop = open_shop(http_account)
    shop.use(1_000_000, "run-1")
    before = http_account.control.now()

    after = http_account.control.advance(months=1, seconds=HOUR + 60)
    later = http_account.control.advance(seconds=HOUR + 60)

    days, invoice = (after - before).days, shop.invoices()[0]
    found = (days in range(28, 32), later > after, invoice.status, invoice.total)
    assert found == (True, True, "paid", 100)


def test_the_clock_is_never_turned_back(http_account: Account) -> None:
    """Refused with the reason."""
    with pytest.raises(ControlRefused, match="turned back"):
        http_account.control.advance(to=int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()))


def test_the_ledger_and_the_calls_can_be_read(http_account: Account) -> None:
    """Accepted totals by customer and meter; how often each call was made."""
    shop = open_shop(http_account)
    shop.use(5, "run-1")
    shop.use(7, "run-2")

    totals = http_account.control.ledger()["totals"]
    calls = http_account.control.calls()["POST /v1/billing/meter_events"]

    assert (totals, calls) == ({shop.customer.id: {shop.meter.id: 12}}, 2)


def test_faults_and_settings_go_over_the_wire(http_account: Account) -> None:
    """Put in force, read back, forgotten by a reset."""
    fault = http_account.control.fault("429", path="/v1/customers", retry_after=3)
    settings = http_account.control.settings(draft_seconds=60)
    http_account.v1.products.create({"name": "Epidemic"})

    http_account.control.reset()

    found = (fault["retry_after"], settings["draft_seconds"])
    left = (http_account.v1.customers.list().data, http_account.v1.products.list().data)
    assert (found, left) == ((3, 60), ([], []))


def test_a_control_call_that_makes_no_sense_is_refused(http_account: Account) -> None:
    """With words."""
    with pytest.raises(ControlRefused, match="No setting 'colour'"):
        http_account.control.settings(colour="red")


# -- pages


def checkout(account: Account) -> tuple[str, str]:
    """The address of a Checkout page, and the customer it is for."""
    customer = account.v1.customers.create({"name": "Ada"}).id
    session = account.v1.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "usd",
            "customer": customer,
            "success_url": "https://site.example/ok?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://site.example/back",
        }
    )
    return session.url, customer


def test_checkout_saves_a_card_and_returns_to_the_site(http_account: Account) -> None:
    """The session is complete, told of, and names the set-up intent with the card."""
    url, customer = checkout(http_account)

    status, target, _ = fetch(url, choice="succeeds")

    session = http_account.v1.checkout.sessions.retrieve(
        target.partition("session=")[2], {"expand": ["setup_intent"]}
    )
    (method,) = http_account.v1.payment_methods.list({"customer": customer}).data
    types = [event.type for event in http_account.v1.events.list().data]
    assert (status, session.status, session.setup_intent.payment_method, types[0]) == (
        303,
        "complete",
        method.id,
        "checkout.session.completed",
    )


def test_a_declined_card_leaves_checkout_open(http_account: Account) -> None:
    """The page says so; nothing is saved."""
    url, customer = checkout(http_account)

    status, _, text = fetch(url, choice="declined")

    saved = http_account.v1.payment_methods.list({"customer": customer}).data
    found = (status, "Your card was declined." in text, saved, fetch(url)[0])
    assert found == (402, True, [], 200)


def test_a_card_that_needs_authentication_asks_first(http_account: Account) -> None:
    """Saved only after the holder confirmed."""
    url, customer = checkout(http_account)
    asked = fetch(url, choice="authenticate")

    status, _, _ = fetch(url, choice="confirmed")

    saved = http_account.v1.payment_methods.list({"customer": customer}).data
    assert (asked[0], "Is it you?" in asked[2], status, len(saved)) == (200, True, 303, 1)


def test_the_portal_makes_the_new_card_the_default(http_account: Account) -> None:
    """And returns to the site."""
    customer = http_account.v1.customers.create({"name": "Ada"})
    session = http_account.v1.billing_portal.sessions.create(
        {"customer": customer.id, "return_url": "https://site.example/costs"}
    )

    status, target, _ = fetch(session.url, choice="succeeds")

    settings = http_account.v1.customers.retrieve(customer.id).invoice_settings
    assert (status, target, settings.default_payment_method[:3]) == (
        303,
        "https://site.example/costs",
        "pm_",
    )


def test_an_open_invoice_can_be_paid_on_its_page(http_account: Account) -> None:
    """The link that the customer gets by mail."""
    shop = open_shop(http_account, card=None)
    shop.use(1_000_000, "run-1")
    shop.next_month()

    status, _, text = fetch(shop.invoices()[0].hosted_invoice_url, choice="succeeds")

    assert (status, "Status: paid" in text, shop.status()) == (200, True, "active")


@pytest.mark.parametrize("path", ["checkout/cs_test_x", "portal/bps_x", "invoice/in_x"])
def test_a_page_of_nothing_is_not_found(http_account: Account, path: str) -> None:
    """404."""
    assert fetch(f"{http_account.base_url}/_standin/{path}")[0] == 404


# -- state and command line


def test_a_state_file_survives_a_restart(tmp_path: Path) -> None:
    """Objects, clock, usage and idempotency keys are as they were."""
    path, options = str(tmp_path / "stripe.sqlite3"), {"idempotency_key": "once"}
    first = StandIn(path)
    shop = open_shop(in_process(first))
    shop.use(5, "run-1")
    made = in_process(first).v1.products.create({"name": "Epidemic"}, options)
    first.advance(seconds=1000)
    first.close()

    second = StandIn(path)

    again = in_process(second)
    replayed = again.v1.products.create({"name": "Epidemic"}, options)
    found = (replayed.id, second.ledger()["totals"], second.clock.offset > 999)
    second.close()
    assert found == (made.id, {shop.customer.id: {shop.meter.id: 5}}, True)


def test_a_taken_port_is_told_in_words() -> None:
    """Exit status 2."""
    server = Server(StandIn()).start()
    port = str(server.server_address[1])

    done = subprocess.run(
        [sys.executable, "-m", "comp_billing.testing.standin", "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )

    server.stop()
    words = re.fullmatch(r"Port \d+ cannot be used: .+\.\n", done.stderr)
    assert (done.returncode, bool(words)) == (2, True)


def test_it_runs_as_a_process_without_django(tmp_path: Path) -> None:
    """The first line names the webhook's secret, the second its address."""
    command = [sys.executable, "-m", "comp_billing.testing.standin", "--port", "0"]
    options = ["--webhook", "http://127.0.0.1:9/", "--secret", "whsec_x"]
    process = subprocess.Popen(
        [*command, *options, "--state", str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with process:
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        status, _, text = fetch(f"{second.split()[-1]}/_standin/clock")
        process.terminate()

    assert (first, status, '"now"' in text) == (
        "webhook http://127.0.0.1:9/ secret whsec_x\n",
        200,
        True,
    )


def test_two_servers_do_not_share_an_account() -> None:
    """Each has its own state."""
    one, two = Server(StandIn()).start(), Server(StandIn()).start()
    over_http(one).v1.customers.create({"name": "Ada"})

    found = over_http(two).v1.customers.list().data

    one.stop()
    two.stop()
    assert found == []


def test_the_librarys_clock_can_be_the_stand_ins(
    http_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aware, and as far ahead as the stand-in at the configured address."""
    site = SimpleNamespace(COMP_BILLING={"API_BASE": http_account.base_url})
    monkeypatch.setattr(clock, "settings", site)
    http_account.control.advance(months=1)

    now = clock.now()

    ahead = now - datetime.now(UTC)
    assert (now.tzinfo, ahead.days in range(27, 32)) == (UTC, True)
