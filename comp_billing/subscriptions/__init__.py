"""Every customer is subscribed to the metered plan of every public project, or of every one that
they wanted to run (``SUBSCRIBE_ON``).

A subscription holds a limited number of items, and plans of one period only, so a customer may have
several. What is missing is found under a lock on the customer, and each pair of customer and meter
is asked for once.
"""

from comp_billing.subscriptions import calls as _calls  # noqa: F401  # for its kinds of intents
from comp_billing.subscriptions.fan_out import BATCH, ensure_items
from comp_billing.subscriptions.items import (
    ADD,
    CREATE,
    live_items,
    standing_additions,
    wanted_by,
)
from comp_billing.subscriptions.planning import plan

__all__ = [
    "ADD",
    "BATCH",
    "CREATE",
    "ensure_items",
    "live_items",
    "plan",
    "standing_additions",
    "wanted_by",
]
