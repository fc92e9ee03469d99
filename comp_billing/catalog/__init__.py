"""What is sold: a product, a meter and a metered plan at Stripe for every public project.

Steps are found by comparing projects with the mirror, and written down as intents; each one's
settlement looks for the next. Every creation looks at Stripe first and adopts what is there.
"""

from comp_billing.catalog.calls import switch_meter
from comp_billing.catalog.offers import (
    counts_alike,
    event_name,
    fits,
    is_offered,
    plans_on_offer,
    units_on,
    usable_plans,
)
from comp_billing.catalog.planning import (
    on_project_saved,
    plan_all,
    plan_project,
    set_up_catalog,
    write_down,
)
from comp_billing.catalog.steps import Step, change, steps

__all__ = [
    "Step",
    "change",
    "counts_alike",
    "event_name",
    "fits",
    "is_offered",
    "on_project_saved",
    "plan_all",
    "plan_project",
    "plans_on_offer",
    "set_up_catalog",
    "steps",
    "switch_meter",
    "units_on",
    "usable_plans",
    "write_down",
]
