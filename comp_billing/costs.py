"""What the pages show of a user's money: costs by month, usage, invoices, receipts. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth

from comp_billing import money, shapes
from comp_billing.models import Invoice, Plan, UsageRecord, UsageState
from comp_core.metering import COST_STEP, BaseMeter, Receipt
from comp_core.models import Run
from comp_core.status import RunStatus
from comp_users.models import Profile

# Invoices whose lines bill nothing.
NOT_BILLED = ("void",)
# Each has all of its lines.
INVOICES_AT_ONCE = 20


@dataclass(frozen=True, kw_only=True)
class MonthlyCost:
    """One project's runs of one month, paid by one profile. ``cost`` in currency units."""

    month: datetime
    project_name: str
    project_slug: str
    runs: int
    seconds: Decimal
    cost: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class InvoiceRow:
    """One invoice for a page. Amounts in currency units; links are empty until it is finalised."""

    stripe_id: str
    number: str
    status: str
    created: datetime | None
    total: Decimal
    amount_due: Decimal
    amount_paid: Decimal
    currency: str
    hosted_invoice_url: str
    invoice_pdf: str

    @property
    def total_text(self) -> str:
        return money.format_amount(money.to_minor(self.total, self.currency), self.currency)


@dataclass(frozen=True, kw_only=True)
class BilledLine:
    """The line of an invoice that bills a run, together with all others of its project and period.

    ``quantity`` in the meter's units, ``amount`` in currency units: rounded once, for the line.
    """

    stripe_id: str
    invoice: InvoiceRow
    quantity: Decimal
    amount: Decimal
    start: datetime
    end: datetime

    @property
    def amount_text(self) -> str:
        currency = self.invoice.currency
        return money.format_amount(money.to_minor(self.amount, currency), currency)


@dataclass(frozen=True, kw_only=True)
class RunReceipt:
    """A run's receipt, its usage record, and the line that bills it, once there is one."""

    receipt: Receipt
    record: UsageRecord | None
    line: BilledLine | None

    @property
    def invoice(self) -> InvoiceRow | None:
        """The invoice of the line."""
        return self.line.invoice if self.line else None


def monthly_costs(profile: Profile) -> list[MonthlyCost]:
    """By month, the latest first, and project: what the profile has paid or will pay for.

    Runs that ended in success, sponsored ones of others included, those whose usage was taken back
    or waived left out; months are those of the time zone in force. One query.
    """
    given_up = Q(usage_record__state__in=(UsageState.CANCELLED, UsageState.WAIVED))
    runs = Run.objects.filter(payer=profile, status=RunStatus.SUCCEEDED).exclude(given_up)
    rows = (
        runs.annotate(month=TruncMonth("finished_at"))
        .values("month", "project__name", "project__slug", "currency")
        .annotate(count=Count("pk"), seconds=Sum("run_time"), cost=Sum("run_cost"))
        .order_by("-month", "project__name", "currency")
    )
    return [
        MonthlyCost(
            month=row["month"],
            project_name=row["project__name"],
            project_slug=row["project__slug"],
            runs=row["count"],
            # SQLite adds up floats: what was added has six places, and so has the sum.
            seconds=row["seconds"].quantize(COST_STEP),
            cost=row["cost"].quantize(COST_STEP),
            currency=row["currency"],
        )
        for row in rows
    ]


def usage_of(profile: Profile) -> QuerySet[UsageRecord]:
    """The usage records of the runs that a profile pays for, the latest first; runs joined."""
    records = UsageRecord.objects.filter(run__payer=profile)
    return records.select_related("run__project").order_by("-used_at", "pk")


def invoices_of(user: Any) -> list[InvoiceRow]:
    """The user's invoices, the latest first. One query."""
    invoices = Invoice.objects.filter(customer__user=user).order_by("-created", "-stripe_id")
    return [_invoice_row(invoice) for invoice in invoices]


def receipt_of(run: Run) -> RunReceipt | None:
    """What a succeeded run cost and where that stands; None for any other. At most four queries."""
    # Without what the site's meter adds to it, which is all here.
    receipt = BaseMeter().receipt(run)
    if receipt is None:
        return None
    record = UsageRecord.objects.filter(run=run.pk).first()
    return RunReceipt(receipt=receipt, record=record, line=billed_by(record) if record else None)


def billed_by(record: UsageRecord) -> BilledLine | None:
    """The line that bills an accepted usage record; None until there is one, and for usage that is
    not billed. Two queries."""
    if record.state != UsageState.ACCEPTED or record.timestamp is None:
        return None
    # Usage is the customer's and the meter's: another item, at another price, may bill it.
    prices = set(Plan.all_objects.filter(meter=record.meter_id).values_list("pk", flat=True))
    # No line bills what is used later than its invoice was made.
    invoices = Invoice.objects.filter(
        customer=record.stripe_customer_id, created__gte=record.timestamp.replace(microsecond=0)
    ).exclude(status__in=NOT_BILLED)
    for invoice in invoices.order_by("created").iterator(chunk_size=INVOICES_AT_ONCE):
        for line in shapes.listed(invoice.data.get("lines")):
            is_its = shapes.line_price(line) in prices or (
                shapes.line_item(line) == record.subscription_item_id
            )
            if is_its and (found := _line(line, invoice, record.timestamp)):
                return found
    return None


def _line(line: dict[str, Any], invoice: Invoice, at: datetime) -> BilledLine | None:
    """The line, if it bills that moment."""
    start, end = shapes.line_period(line)
    if start is None or end is None or not start <= at < end:
        return None
    return BilledLine(
        stripe_id=shapes.text(line.get("id")),
        invoice=_invoice_row(invoice),
        quantity=shapes.line_quantity(line) or Decimal(0),
        amount=money.from_minor(shapes.integer(line.get("amount")) or 0, invoice.currency),
        start=start,
        end=end,
    )


def _invoice_row(invoice: Invoice) -> InvoiceRow:
    def units(minor: int | None) -> Decimal:
        return money.from_minor(minor or 0, invoice.currency)

    return InvoiceRow(
        stripe_id=invoice.pk,
        number=invoice.number,
        status=invoice.status,
        created=invoice.created,
        total=units(invoice.total),
        amount_due=units(invoice.amount_due),
        amount_paid=units(invoice.amount_paid),
        currency=invoice.currency,
        hosted_invoice_url=shapes.link(invoice.data.get("hosted_invoice_url")),
        invoice_pdf=shapes.link(invoice.data.get("invoice_pdf")),
    )
