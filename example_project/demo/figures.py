"""The figures of the story, each read from the place that is responsible for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from comp_billing import money
from comp_billing.models import Customer, Invoice, Meter, Plan, UsageRecord
from comp_core.metering import get_meter
from comp_core.models import Run
from comp_users.models import Profile


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """One run: what the user was told, and what is on its way to Stripe."""

    title: str
    seconds: Decimal
    cost: Decimal
    quantity: int
    unit: Decimal
    state: str

    @property
    def agrees(self) -> bool:
        """The receipt equals the usage record times the unit, exactly."""
        return self.cost == self.quantity * self.unit and self.state == "accepted"


@dataclass(frozen=True, kw_only=True)
class LineFigures:
    """One project's usage in one billing period, from the runs up to the invoice line.

    Quantities are meter units, amounts minor units of the currency.
    """

    project: str
    period_end: datetime
    receipts: Decimal
    unit: Decimal
    recorded: int
    metered: int
    billed_quantity: int
    exact_amount: Decimal
    billed_amount: int
    invoice: str
    invoice_status: str

    @property
    def residue(self) -> Decimal:
        """What one rounding on the line added (or, negative, dropped)."""
        return self.billed_amount - self.exact_amount

    @property
    def agrees(self) -> bool:
        rounded = int(self.exact_amount.quantize(Decimal(1), ROUND_HALF_UP))
        return (
            self.receipts == self.recorded * self.unit
            and self.recorded == self.metered == self.billed_quantity
            and self.billed_amount == rounded
            and self.invoice_status == "paid"
        )


@dataclass(frozen=True, kw_only=True)
class InvoiceFigures:
    """How one invoice was settled, and what Stripe sent about it. Amounts are minor units."""

    invoice: str
    status: str
    total: int
    # Taken from the card.
    charged: int
    # What the invoice added to the customer's balance, for the next invoice to collect.
    carried_over: int
    # Types of the signed events that were received, in the order of their sending.
    events: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """What was not charged was carried over, and the news of the payment has come."""
        return self.total == self.charged + self.carried_over and "invoice.paid" in self.events


def unit_of(currency: str, plan: Plan) -> Decimal:
    """Currency units per unit of the plan's meter."""
    assert plan.amount_decimal is not None  # noqa: S101  # a metered plan of ours has one
    return plan.amount_decimal.scaleb(-money.exponent(currency))


def run_figures(profile: Profile) -> list[RunFigures]:
    """Every succeeded run of a profile, oldest first."""
    meter = get_meter()
    runs = Run.objects.filter(owner=profile, status="succeeded").order_by("created")
    rows = []
    for run in runs.select_related("usage_record__subscription_item__plan", "project"):
        record = run.usage_record
        receipt = meter.receipt(run)
        assert receipt is not None and record.subscription_item.plan is not None  # noqa: S101, PT018
        rows.append(
            RunFigures(
                title=run.title or run.project.name,
                seconds=receipt.seconds,
                cost=receipt.cost,
                quantity=record.quantity,
                unit=unit_of(run.currency, record.subscription_item.plan),
                state=record.state,
            )
        )
    return rows


def invoice_figures(profile: Profile) -> list[InvoiceFigures]:
    """Every invoice of a profile that billed something, oldest first."""
    rows = []
    billed = Invoice.objects.filter(customer__user=profile.user, total__gt=0)
    for invoice in billed.order_by("created"):
        before, after = (invoice.data.get(f"{end}_balance") or 0 for end in ("starting", "ending"))
        events = invoice.events.order_by("created", "received_at")
        rows.append(
            InvoiceFigures(
                invoice=invoice.number or invoice.pk,
                status=invoice.status,
                total=invoice.total or 0,
                charged=invoice.amount_paid or 0,
                carried_over=after - before,
                events=tuple(dict.fromkeys(events.values_list("type", flat=True))),
            )
        )
    return rows


def line_figures(profile: Profile, ledger: list[dict[str, Any]]) -> list[LineFigures]:
    """Every metered invoice line of a profile that billed something, oldest first.

    ``ledger`` holds the meter events as Stripe's side has them.
    """
    customer = Customer.objects.get(user=profile.user)
    rows = []
    for invoice in Invoice.objects.filter(customer=customer).order_by("created"):
        for line in invoice.data["lines"]["data"]:
            if line["amount"] or Decimal(line.get("quantity_decimal") or 0):
                rows.append(_line(customer, invoice, line, ledger))
    return rows


def _line(
    customer: Customer, invoice: Invoice, line: dict[str, Any], ledger: list[dict[str, Any]]
) -> LineFigures:
    plan = Plan.objects.get(pk=line["pricing"]["price_details"]["price"])
    meter = Meter.objects.get(pk=plan.meter_id)
    start, end = line["period"]["start"], line["period"]["end"]
    records = UsageRecord.objects.filter(
        meter=meter,
        stripe_customer_id=customer.pk,
        timestamp__gte=datetime.fromtimestamp(start, UTC),
        timestamp__lt=datetime.fromtimestamp(end, UTC),
    ).select_related("run")
    recorded = sum(record.quantity for record in records)
    assert plan.amount_decimal is not None and meter.project is not None  # noqa: S101, PT018
    return LineFigures(
        project=meter.project.name,
        period_end=datetime.fromtimestamp(end, UTC),
        receipts=sum((record.run.run_cost or Decimal(0) for record in records), Decimal(0)),
        unit=unit_of(invoice.currency, plan),
        recorded=recorded,
        metered=sum(
            event["value"]
            for event in ledger
            if event["state"] == "accepted"
            and (event["customer"], event["meter"]) == (customer.pk, meter.pk)
            and start <= event["timestamp"] < end
        ),
        billed_quantity=int(Decimal(line.get("quantity_decimal") or line["quantity"])),
        exact_amount=recorded * plan.amount_decimal,
        billed_amount=line["amount"],
        invoice=invoice.number or invoice.pk,
        invoice_status=invoice.status,
    )
