"""Builders for the tests of the books: months of use, invoiced by the stand-in and mirrored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from freezegun import freeze_time

from comp_billing import mirror, stripe_api, usage
from comp_billing.models import Invoice, UsageRecord
from comp_users.models import Profile, Project
from tests.billing.builders import Site, customer_of, used
from tests.billing.standin_rig import in_process

HOUR = 3600


@dataclass
class Ledger:
    """A site whose clock is the stand-in's, so that months go by for both."""

    site: Site
    frozen: Any

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.site.standin.now(), UTC)

    def pass_time(self, **how_long: int) -> None:
        """Time goes by at Stripe and here, and the mirror hears of what fell due."""
        self.site.standin.advance(**how_long)
        self.frozen.move_to(self.now)
        self.mirror()

    def settle(self) -> None:
        """Long enough for Stripe to have counted what was sent."""
        self.pass_time(seconds=2 * HOUR)

    def turn(self) -> None:
        """The periods end, and their drafts are finalised."""
        self.settle()
        self.pass_time(months=1)
        self.settle()

    def mirror(self) -> None:
        """What Stripe has now, as a bulk sync would bring it."""
        store = self.site.standin.store
        objects = [
            self.site.standin.view(obj)
            for kind in ("subscription", "invoice")
            for obj in store.where(kind)
        ]
        mirror.upsert(
            objects,
            as_of=self.site.standin.now(),
            rank=0,
            api_version=stripe_api.API_VERSION,
        )

    def use(self, project: Project, payer: Profile, *, seconds: str = "2.5") -> UsageRecord:
        """A run that has just succeeded, reported."""
        record = used(project, payer, seconds=seconds)
        usage.report_due()
        record.refresh_from_db()
        return record

    def give_card(self, payer: Profile) -> None:
        """A card at Stripe that pays every invoice."""
        v1, customer = in_process(self.site.standin).v1, customer_of(payer).pk
        card = v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
        v1.customers.update(customer, {"invoice_settings": {"default_payment_method": card}})


@pytest.fixture
def ledger(site: Site) -> Any:
    """A site that bills, its clock at the stand-in's time."""
    site.configure(CLOCK="tests.billing.builders.standin_now")
    start = datetime(2026, 1, 10, 9, 30, 7, tzinfo=UTC)
    with freeze_time(start, ignore=["comp_billing.sync.pacing"]) as frozen:
        site.standin.clock.stop(at=int(start.timestamp()))
        yield Ledger(site, frozen)


def reconciled(*options: str) -> tuple[int, str]:
    """Exit status and output of the command."""
    out = StringIO()
    try:
        call_command("comp_reconcile", *options, stdout=out, stderr=StringIO())
    except CommandError as exc:
        return exc.returncode, out.getvalue()
    return 0, out.getvalue()


def books_as_json(*options: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and the document of the command."""
    status, text = reconciled("--json", *options)
    return status, json.loads(text)


def codes(*options: str) -> tuple[int, list[tuple[str, list[str]]]]:
    """Exit status, and code and ids of every difference."""
    status, rows = books_as_json(*options)
    return status, [(one["code"], one["ids"]) for row in rows for one in row["differences"]]


def waits(*options: str) -> tuple[int, list[list[str]]]:
    """Exit status, and what each row waits for."""
    status, rows = books_as_json(*options)
    return status, [row["waiting"] for row in rows]


def changed(record: UsageRecord, **values: Any) -> UsageRecord:
    """The record as somebody else left it."""
    UsageRecord.objects.filter(pk=record.pk).update(**values)
    record.refresh_from_db()
    return record


def edit_line(**fields: Any) -> str:
    """The one invoice of the mirror with another first line; the line's id."""
    invoice = Invoice.objects.get()
    line = invoice.data["lines"]["data"][0]
    line.update(fields)
    invoice.save()
    return str(line["id"])
