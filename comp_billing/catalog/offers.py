"""What is on offer, and which plans count as the site does."""

from __future__ import annotations

from decimal import Decimal

from django.db.models import QuerySet

from comp_billing import money
from comp_billing.conf import conf
from comp_billing.models import Plan
from comp_billing.pricing import BasePricing, get_pricing, units_of
from comp_core.models import Run
from comp_users.models import Project


def event_name(project: Project, pricing: BasePricing) -> str:
    """The meter's immutable name; not the slug, which may change."""
    return f"{conf.METER_PREFIX}_p{project.pk}_{pricing.unit_name}"


def counts_alike(plan: Plan, pricing: BasePricing) -> bool:
    """Whether usage on the plan is counted in the policy's units, at whatever rate.

    The units of a policy whose prices follow the rate are known by the meter's name; of one with a
    constant price, by that price.
    """
    if plan.currency != conf.CURRENCY or plan.usage_type != "metered":
        return False
    if pricing.follows_rate:
        return bool(plan.meter and plan.meter.event_name.endswith(f"_{pricing.unit_name}"))
    return plan.amount_decimal == pricing.unit_amount_decimal(conf.CURRENCY)


def fits(plan: Plan, pricing: BasePricing, *, server_cost: Decimal | None) -> bool:
    """Whether the plan counts as the site does now, and has the price of this rate."""
    price = pricing.unit_amount_decimal(conf.CURRENCY, server_cost=server_cost)
    return plan.amount_decimal == price and counts_alike(plan, pricing)


def units_on(plan: Plan, run: Run) -> int:
    """A run's cost in units of a plan, which may be older than the policy now in force, or of
    another rate than the run was permitted at: to the nearest unit then."""
    pricing = get_pricing()
    if fits(plan, pricing, server_cost=run.server_cost) or not plan.amount_decimal:
        return pricing.quantity(run)
    return units_of(run.run_cost, money.from_minor(plan.amount_decimal, plan.currency))


def plans_on_offer() -> list[Plan]:
    """The metered plan of every public project that has one by now, one per meter."""
    pricing = get_pricing()
    plans = (
        usable_plans()
        .filter(
            meter__status="active",
            meter__deleted=False,
            meter__project__is_public=True,
            meter__project__server_cost__isnull=False,
        )
        .select_related("meter__project")
    )
    by_meter = {
        plan.meter_id: plan for plan in plans.order_by("as_of") if _has_own_rate(plan, pricing)
    }
    return sorted(by_meter.values(), key=lambda plan: plan.stripe_id)


def _has_own_rate(plan: Plan, pricing: BasePricing) -> bool:
    project = plan.meter.project if plan.meter else None
    return bool(project and fits(plan, pricing, server_cost=project.server_cost))


def usable_plans() -> QuerySet[Plan]:
    """Plans that may be sold; with its product a price is gone, whether that is told or not."""
    return Plan.objects.filter(active=True).exclude(product__deleted=True)


def is_offered(project: Project) -> bool:
    return project.is_public and project.server_cost is not None
