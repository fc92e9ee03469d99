"""Make what Stripe sent storable: what JSON allows and a database does not."""

from __future__ import annotations

import math
import re
from typing import Any

# PostgreSQL stores neither NUL nor lone surrogates; SQLite would, and then could not be moved.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def clean(value: Any) -> Any:
    """A copy in which unstorable characters are replaced and numbers that are none are None."""
    if isinstance(value, str):
        return UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {clean(key): clean(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [clean(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
