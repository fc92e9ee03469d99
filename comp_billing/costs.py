"""What the pages show of a user's money: costs by month, usage, invoices, receipts. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncMonth

from comp_billing import money, shapes
from comp_billing.models import Invoice, UsageRecord
from comp_core.metering import Receipt, get_meter
from comp_core.models import Run
from comp_core.status import RunStatus
from comp_users.models import Profile


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
class RunReceipt:
    """A run's receipt, and the invoice that bills it, once there is one."""

    receipt: Receipt
    record: UsageRecord | None
    invoice: InvoiceRow | None


def monthly_costs(profile: Profile) -> list[MonthlyCost]:
    """By month, the latest first, and project: what the profile has paid or will pay for.

    Runs that ended in success, sponsored ones of others included. One query.
    """
    runs = Run.objects.filter(payer=profile, status=RunStatus.SUCCEEDED)
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
            seconds=row["seconds"],
            cost=row["cost"],
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
    receipt = get_meter().receipt(run)
    if receipt is None:
        return None
    record = UsageRecord.objects.select_related("subscription_item").filter(run=run.pk).first()
    return RunReceipt(
        receipt=receipt, record=record, invoice=_invoice_of(record) if record else None
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


def _invoice_of(record: UsageRecord) -> InvoiceRow | None:
    """The first invoice after the use with a line for its item and its time."""
    if record.timestamp is None:
        return None
    item: Any = record.subscription_item
    invoices = Invoice.objects.filter(
        subscription=item.subscription_id, created__gte=record.timestamp
    ).order_by("created")
    for invoice in invoices[:3]:
        if _bills(invoice, item.pk, record.timestamp):
            return _invoice_row(invoice)
    return None


def _bills(invoice: Invoice, item_id: str, at: datetime) -> bool:
    return any(
        shapes.line_item(line) == item_id and _covers(line, at)
        for line in shapes.listed(invoice.data.get("lines"))
    )


def _covers(line: dict[str, Any], at: datetime) -> bool:
    start, end = shapes.line_period(line)
    return start is not None and end is not None and start <= at < end
