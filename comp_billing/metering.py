"""The meter that bills runs through Stripe: permits them, holds their worst case, records usage."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import cast

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from comp_billing import first_run, money, stripe_api
from comp_billing.catalog import fits
from comp_billing.conf import conf
from comp_billing.entitlements import (
    RELATED,
    Entitlement,
    entitlement,
    entitlements_of,
    usable_entitlement,
)
from comp_billing.models import Plan, Reservation, SubscriptionItem, UsageRecord, UsageState
from comp_billing.pricing import get_pricing, units_of
from comp_core.exceptions import RunRefused
from comp_core.metering import BaseMeter, Receipt
from comp_core.models import Run
from comp_users.models import Profile


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

    def authorize(self, run: Run) -> None:
        """Refuse a run that could not be billed, or whose worst case would pass the payer's cap;
        else hold the worst case. Joins the transaction of submit."""
        if not is_billable(run):
            return
        payer = run.payer
        if not (payer.is_active and payer.user.is_active):
            raise RunRefused(_("The account that would pay for this run is not active."))
        item = usable_entitlement(payer, run.project).item
        worst_case = self.cost(run, Decimal(run.timeout_seconds))
        _hold_within_cap(run, worst_case, item)
        # By id: the run at hand may be a subclass's instance.
        Reservation.objects.create(
            run_id=run.pk, payer=payer, amount=worst_case, subscription_item=item
        )

    def refused(self, run: Run) -> None:
        """A first wish is written down, and what the payer lacks is asked for, on sites that do so
        no earlier."""
        if is_billable(run):
            first_run.note(run.payer, run.project)

    def record(self, run: Run) -> None:
        """Settle what was held and write the usage record, in the transaction of finish."""
        held = Reservation.objects.filter(run=run.pk, settled_amount__isnull=True)
        if not held.update(settled_amount=run.run_cost, modified=timezone.now()):
            return
        billed = _to_bill(run)
        quantity = _quantity(run, billed.plan)
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

    def release(self, run: Run) -> None:
        """Give back what was held: only success costs."""
        held = Reservation.objects.filter(run=run.pk, settled_amount__isnull=True)
        held.update(settled_amount=0, modified=timezone.now())

    def receipt(self, run: Run) -> Receipt | None:
        plain = super().receipt(run)
        record = UsageRecord.objects.filter(run=run.pk).first() if plain else None
        if plain is None or record is None:
            return plain
        return Receipt(
            seconds=plain.seconds,
            server_cost=plain.server_cost,
            cost=plain.cost,
            currency=plain.currency,
            quantity=record.quantity,
            state=str(UsageState(record.state).label),
            reference=str(record.identifier),
        )


def is_billable(run: Run) -> bool:
    """Runs of public projects that have a rate, on a site that has a Stripe key."""
    return stripe_api.is_configured() and run.project.is_public and bool(run.server_cost)


def _hold_within_cap(run: Run, worst_case: Decimal, item: SubscriptionItem) -> None:
    """Refuse when what is spent and held this period, and this run at worst, pass the cap."""
    # Locks out the payer's other submits until ours is committed. A stronger lock would deadlock
    # with the one that the run's foreign key already holds.
    payer = Profile.objects.select_for_update(no_key=True).get(pk=run.payer_id)
    if payer.spending_cap is None:
        return
    spent, held = committed(payer, period_start(item))
    if spent + held + worst_case <= payer.spending_cap:
        return
    if run.payer_id != run.owner_id:
        # The sponsor's figures are the sponsor's business.
        raise RunRefused(
            _("The sponsor of this project has reached the spending cap for this month.")
        )
    amounts = {"worst": worst_case, "cap": payer.spending_cap, "spent": spent, "held": held}
    words = {name: _in_words(amount, run.currency) for name, amount in amounts.items()}
    raise RunRefused(_over_cap(words, item))


def _over_cap(words: dict[str, str], item: SubscriptionItem) -> str:
    text = _(
        "This run could cost up to %(worst)s and might pass your spending cap of %(cap)s:"
        " %(spent)s are spent and %(held)s are held for runs under way. Raise the cap, or wait"
        " until running models have finished"
    )
    if item.current_period_end is None:
        return text % words + "."
    end = date_format(item.current_period_end, "DATE_FORMAT")
    return text % words + _(" or the next period starts on %(end)s.") % {"end": end}


def period_start(item: SubscriptionItem | None) -> datetime:
    """Of the cap's month: the subscription's period, before there is one the calendar month."""
    if item and item.current_period_start:
        return item.current_period_start
    return timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def committed(payer: Profile, since: datetime) -> tuple[Decimal, Decimal]:
    """What the payer has spent since, and what is held for runs under way; currency units."""
    held = Q(settled_amount__isnull=True)
    sums = Reservation.objects.filter(held | Q(run__finished_at__gte=since), payer=payer).aggregate(
        spent=Coalesce(Sum("settled_amount", filter=~held), Decimal(0)),
        held=Coalesce(Sum("amount", filter=held), Decimal(0)),
    )
    return cast("Decimal", sums["spent"]), cast("Decimal", sums["held"])


def _in_words(amount: Decimal, currency: str) -> str:
    """Rounded up to the minor unit, so that what is said adds up to what was refused."""
    minor = money.to_minor(amount, currency).to_integral_value(ROUND_CEILING)
    return money.format_amount(minor, currency)


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


def _quantity(run: Run, plan: Plan) -> int:
    """In units of the item's own plan, which may be older than the policy now in force, or than
    the rate that the run was permitted at."""
    pricing = get_pricing()
    if fits(plan, pricing, server_cost=run.server_cost) or not plan.amount_decimal:
        return pricing.quantity(run)
    return units_of(run.run_cost, money.from_minor(plan.amount_decimal, plan.currency))
