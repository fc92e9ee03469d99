"""How parameters change an object: metadata is merged, an empty string unsets."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

Json = dict[str, Any]


def merged_metadata(old: Json, new: Any) -> Json:
    """Keys added or replaced; a key set to the empty string goes; the empty string clears all."""
    if new == "" or new is None:
        return {}
    return {name: value for name, value in {**old, **new}.items() if value != ""}


def merged(obj: Json, params: Json, names: Iterable[str]) -> Json:
    """The fields that these parameters set: as given, unset to null by the empty string."""
    fields: Json = {}
    for name in names:
        if name not in params:
            continue
        value = params[name]
        if name == "metadata":
            fields[name] = merged_metadata(obj.get("metadata") or {}, value)
        elif isinstance(value, dict) and isinstance(obj.get(name), dict):
            fields[name] = {**obj[name], **{k: _unset(v) for k, v in value.items()}}
        else:
            fields[name] = _unset(value)
    return fields


def _unset(value: Any) -> Any:
    return None if value == "" else value


def given(params: Json, names: Iterable[str]) -> Json:
    """Those of the parameters that were given, the empty string as null."""
    return {name: _unset(params[name]) for name in names if name in params}


def stub(obj: Json) -> Json:
    """What remains of a deleted object."""
    return {"id": obj["id"], "object": obj["object"], "deleted": True}


def plain(number: Decimal) -> str:
    """A decimal as Stripe writes it: no exponent, no trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
