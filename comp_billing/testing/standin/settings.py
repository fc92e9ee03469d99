"""What a Stripe account lets its owner set, and what the stand-in's user may: kept in the state."""

import json
from typing import Any

from comp_billing.testing.standin.store import Store

DEFAULTS: dict[str, Any] = {
    # seconds that a draft of a cycle waits before it is finalised
    "draft_seconds": 3600,
    # seconds between a failed payment and its retries; after the last one `dunning_end` holds
    "retry_seconds": [3 * 86400, 5 * 86400, 7 * 86400],
    # what becomes of the subscription when the retries are used up: unpaid, canceled or past_due
    "dunning_end": "unpaid",
    # seconds by which meter summaries lag behind accepted events
    "summary_lag_seconds": 0,
    # seconds until a new customer is found by search
    "search_lag_seconds": 0,
    # the version that events have for endpoints that pin none
    "api_version": "2026-10-28.endive",
    # seconds before the end of a period at which `invoice.upcoming` is told; 0: never
    "upcoming_seconds": 3 * 86400,
    # items that one subscription may have
    "item_limit": 20,
    # id of the account: to have a key of another one, give it another id
    "account": "acct_standin",
    # two letters of the account's country
    "country": "US",
}


class Settings:
    """Named values with defaults; `settings["draft_seconds"] = 60`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getitem__(self, name: str) -> Any:
        kept = self._store.setting(f"setting:{name}")
        return json.loads(kept) if kept else DEFAULTS[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in DEFAULTS:
            raise KeyError(f"No setting {name!r}: there are {', '.join(sorted(DEFAULTS))}.")
        self._store.set(f"setting:{name}", json.dumps(value))

    def all(self) -> dict[str, Any]:
        """Every setting with its present value."""
        return {name: self[name] for name in DEFAULTS}
