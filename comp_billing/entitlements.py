"""Which subscription item a payer's runs are billed by, and why there may be none."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from comp_billing.catalog import counts_alike
from comp_billing.confirmation import get_admission, is_admitted
from comp_billing.customers import subject_of
from comp_billing.models import (
    LIVE_STATUSES,
    USABLE_STATUSES,
    Customer,
    Intent,
    Invoice,
    Meter,
    Plan,
    Subscription,
    SubscriptionItem,
)
from comp_billing.pricing import get_pricing
from comp_core.exceptions import RunRefused
from comp_users.models import Profile, Project

RELATED = ("plan__meter", "subscription__customer")


@dataclass(frozen=True)
class Entitlement:
    """An item with all that it takes to bill by it."""

    item: SubscriptionItem
    plan: Plan
    meter: Meter
    subscription: Subscription
    customer: Customer

    @property
    def is_live(self) -> bool:
        """Whether usage still reaches an invoice, counted in the units of the policy in force. The
        plan need not be the one on offer: an item on that of an earlier rate is yet to be moved."""
        gone = self.item.deleted or self.subscription.deleted or self.customer.deleted
        is_billed = not gone and self.subscription.status in LIVE_STATUSES
        return (
            is_billed and self.meter.status == "active" and counts_alike(self.plan, get_pricing())
        )

    @property
    def is_usable(self) -> bool:
        """Whether new runs are accepted on it."""
        return self.is_live and self.subscription.status in USABLE_STATUSES


def entitlement(item: SubscriptionItem) -> Entitlement | None:
    """Of an item, when its plan, meter, subscription and customer are known."""
    plan, subscription = item.plan, item.subscription
    meter = plan.meter if plan else None
    customer = subscription.customer if subscription else None
    if plan is None or meter is None or subscription is None or customer is None:
        return None
    return Entitlement(item, plan, meter, subscription, customer)


def entitlements_of(payer: Profile, project: Project) -> list[Entitlement]:
    """The payer's live ones for a project, the newest first."""
    items = SubscriptionItem.objects.filter(
        subscription__customer__user=payer.user_id, plan__product__project=project
    )
    found = [entitlement(item) for item in items.select_related(*RELATED).order_by("-as_of", "pk")]
    return [one for one in found if one and one.is_live]


def usable_entitlement(payer: Profile, project: Project) -> Entitlement:
    """The one to bill a new run by. Raises RunRefused with the reason for the user."""
    live = entitlements_of(payer, project)
    usable = next((one for one in live if one.is_usable), None)
    if usable is None:
        raise RunRefused(_why_not(payer, {one.subscription.status for one in live}))
    if _has_left_unpaid(usable.customer):
        raise RunRefused(_unpaid())
    return usable


def _has_left_unpaid(customer: Customer) -> bool:
    """Whether an invoice of a subscription that has ended is open. After the last failed payment
    Stripe may be set to cancel; the subscription that follows must not be a way round the debt."""
    return Invoice.objects.filter(
        customer=customer, status="open", subscription__status="canceled"
    ).exists()


def _unpaid() -> str:
    return _(
        "An earlier invoice has not been paid, so no new run can be billed."
        " Pay it under Invoices, then submit again."
    )


def _why_not(payer: Profile, statuses: set[str]) -> str:
    # Of an incomplete one the first invoice is unpaid, or its payment is still to be confirmed.
    if statuses & {"past_due", "unpaid", "incomplete"}:
        return _unpaid()
    if "paused" in statuses:
        return _(
            "The subscription that pays for runs is paused. Add a payment card under Card; if it"
            " stays paused, ask this site's operators."
        )
    if statuses:
        return _("The subscription that pays for runs is not active. Ask this site's operators.")
    made = Intent.objects.filter(subject=subject_of(payer.user_id)).first()
    if made and made.result_id and not Customer.objects.filter(user=payer.user_id).exists():
        return _("The billing account was closed. Ask this site's operators to open it again.")
    if made is None and not is_admitted(payer):
        return get_admission().refusal()
    return _("Your billing account is being set up. Please try again in a minute.")
