"""The meter that bills runs through Stripe: permits them, holds their worst case, records usage."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from comp_billing import first_run, quotes, stripe_api
from comp_billing.catalog import units_on
from comp_billing.conf import conf
from comp_billing.costs import billed_by
from comp_billing.entitlements import (
    RELATED,
    Entitlement,
    entitlement,
    entitlements_of,
    usable_entitlement,
)
from comp_billing.limits import caps
from comp_billing.models import (
    CorrectionKind,
    Reservation,
    SubscriptionItem,
    UsageRecord,
    UsageState,
)
from comp_billing.pricing import get_pricing
from comp_core.exceptions import RunRefused
from comp_core.metering import BaseMeter, Quote, Receipt
from comp_core.models import Run


class StripeMeter(BaseMeter):
    """Bills succeeded runs of public projects to their payer. Makes no call to Stripe itself.

    Without a key the site is free: costs are computed and shown, nothing is recorded.
    """

    @property
    def currency(self) -> str:
        return conf.CURRENCY

    def cost(self, run: Run, seconds: Decimal) -> Decimal:
        return get_pricing().cost(
            seconds=seconds, server_cost=run.server_cost, currency=run.currency
        )

    def quote(self, run: Run) -> Quote:
        """Also says who pays, what credit takes off, and what is free. At most three queries."""
        return quotes.complete(super().quote(run), run)

    def authorize(self, run: Run) -> None:
        """Refuse a run that could not be billed, or whose worst case would pass the payer's cap or
        what may be used without a card; else hold the worst case. Joins submit's transaction."""
        if not is_billable(run):
            return
        payer = run.payer
        if not (payer.is_active and payer.user.is_active):
            raise RunRefused(_("The account that would pay for this run is not active."))
        entitled = usable_entitlement(payer, run.project)
        caps.hold(run, self.cost(run, Decimal(run.timeout_seconds)), entitled)

    def refused(self, run: Run) -> None:
        """A first wish is written down, and what the payer lacks is asked for, on sites that do so
        no earlier. A cap that is used up is told to who pays."""
        if is_billable(run):
            first_run.note(run.payer, run.project)
            caps.note_refused(run.payer, self.cost(run, Decimal(run.project.exp_task_time)))

    def record(self, run: Run) -> None:
        """Settle what was held and write the usage record, in the transaction of finish."""
        if not _settle(run, run.run_cost):
            return
        billed = _to_bill(run)
        quantity = units_on(billed.plan, run)
        UsageRecord.objects.create(
            run_id=run.pk,
            subscription_item=billed.item,
            meter=billed.meter,
            event_name=billed.meter.event_name,
            stripe_customer_id=billed.customer.pk,
            quantity=quantity,
            used_at=run.finished_at or timezone.now(),
            state=UsageState.PENDING if quantity else UsageState.EMPTY,
            next_attempt_at=timezone.now() if quantity else None,
        )
        caps.note_spending(run, billed.item)

    def release(self, run: Run) -> None:
        """Give back what was held: only success costs."""
        _settle(run, Decimal(0))

    def receipt(self, run: Run) -> Receipt | None:
        plain = super().receipt(run)
        record = UsageRecord.objects.filter(run=run.pk).first() if plain else None
        if plain is None or record is None:
            return plain
        told: dict[str, Any] = {
            "quantity": record.quantity,
            "state": _state_of(record),
            "reference": str(record.identifier),
        }
        # A sponsor's invoices are the sponsor's business.
        own = run.payer_id == run.owner_id
        return replace(plain, **told, **(_billed(record) if own else {}))


def _state_of(record: UsageRecord) -> str:
    """In words for the user; that it was credited is none of the record's states."""
    words = str(UsageState(record.state).label)
    credits_ = record.corrections.filter(kind=CorrectionKind.CREDIT, refused_at=None)
    return f"{words}, {_('credited')}" if credits_.exists() else words


def _billed(record: UsageRecord) -> dict[str, Any]:
    """The invoice and its line, once the run is on one."""
    line = billed_by(record)
    if line is None:
        return {}
    words = _("%(quantity)s units for %(amount)s, together with your other runs of that period")
    quantity = number_format(line.quantity.normalize(), use_l10n=True, force_grouping=True)
    return {
        "invoice": line.invoice.number or str(_("in preparation")),
        "invoice_url": line.invoice.hosted_invoice_url,
        "line": words % {"quantity": quantity, "amount": line.amount_text},
    }


def is_billable(run: Run) -> bool:
    """Runs of public projects that have a rate, on a site that has a Stripe key."""
    return stripe_api.is_configured() and run.project.is_public and bool(run.server_cost)


def _settle(run: Run, amount: Decimal | None) -> bool:
    """Turn what is held for an ended run into what it costs; whether something was held."""
    held = Reservation.objects.filter(run=run.pk, settled_at__isnull=True)
    now = timezone.now()
    settled = {"settled_amount": amount, "settled_at": run.finished_at or now}
    return bool(held.update(modified=now, **settled))


def _to_bill(run: Run) -> Entitlement:
    """The item of the permission; its successor when it was replaced meanwhile.

    Without a successor the usage is still recorded, and refused by Stripe for all to see.
    """
    permitted = SubscriptionItem.all_objects.select_related(*RELATED).get(reservations__run=run.pk)
    first = entitlement(permitted)
    if first is None:
        raise LookupError(f"The item {permitted.pk} has lost its plan or its subscription.")
    if first.is_live:
        return first
    return next(iter(entitlements_of(run.payer, run.project)), first)
