"""What changed between two views of an object, as events tell it."""

from typing import Any

Json = dict[str, Any]


def previous_attributes(before: Json, after: Json) -> Json:
    """The old values of what changed, in hashes one level deeper."""
    previous: Json = {}
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and old.get("object") != "list":
            previous[name] = {k: old.get(k) for k in old.keys() | new if old.get(k) != new.get(k)}
        else:
            previous[name] = old
    return previous
