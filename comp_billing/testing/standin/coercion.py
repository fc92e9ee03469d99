"""Values of a request turned into the types that the SDK declares, or refused as Stripe does."""

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import typing_extensions
from stripe._stripe_object import UntypedStripeObject

from comp_billing.testing.standin.errors import ApiError

Schema = tuple[dict[str, Any], frozenset[str]]
UNIONS = (typing.Union, types.UnionType)
LITERALS = (Literal, typing_extensions.Literal)


@dataclass(eq=False)
class Mistype(Exception):
    """A value that none of the declared types takes: what was wanted of it."""

    param: str
    message: str
    code: str | None = None


@dataclass(frozen=True)
class Coercion:
    """How values came in, and how to look into a TypedDict."""

    form: bool
    schema_for: Callable[[type], Schema]


def coerce_fields(
    params: Any,
    schema: Schema,
    *,
    schema_for: Callable[[type], Schema],
    form: bool,
    where: str,
) -> dict[str, Any]:
    """A mapping checked field by field; raises `ApiError`."""
    try:
        return _fields(params, schema, Coercion(form, schema_for), where)
    except Mistype as problem:
        raise ApiError(problem.message, code=problem.code, param=problem.param) from problem


def _inside(where: str, name: str | int) -> str:
    return f"{where}[{name}]" if where else str(name)


def _fields(params: Any, schema: Schema, how: Coercion, where: str) -> dict[str, Any]:
    hints, required = schema
    if not isinstance(params, dict):
        raise Mistype(where, "Invalid object")
    for name in params:
        if name not in hints:
            path = _inside(where, name)
            raise Mistype(path, f"Received unknown parameter: {path}", "parameter_unknown")
    for name in sorted(required - params.keys()):
        path = _inside(where, name)
        raise Mistype(path, f"Missing required param: {path}.", "parameter_missing")
    return {n: _value(v, hints[n], how, _inside(where, n)) for n, v in params.items()}


def _alternatives(hint: Any) -> list[Any]:
    if typing.get_origin(hint) in UNIONS:
        return [part for whole in typing.get_args(hint) for part in _alternatives(whole)]
    return [hint]


def _closed(parts: list[Any]) -> list[Any]:
    """Without the `str` by which the SDK leaves its enums open: Stripe's own are closed."""
    enums = [p for p in parts if typing.get_origin(p) in LITERALS and typing.get_args(p) != ("",)]
    rest = [p for p in parts if typing.get_origin(p) is not UntypedStripeObject]
    return [p for p in rest if p is not str] if enums else rest


def _value(value: Any, hint: Any, how: Coercion, where: str) -> Any:
    problems: list[Mistype] = []
    for part in sorted(_closed(_alternatives(hint)), key=lambda p: p is str):
        try:
            return _one(value, part, how, where)
        except Mistype as problem:
            problems.append(problem)
    # the deepest complaint is about the alternative that was meant
    raise max(problems, key=lambda problem: len(problem.param))


def _one(value: Any, hint: Any, how: Coercion, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in LITERALS:
        return _literal(value, typing.get_args(hint), where)
    if origin in (list, typing.List):  # noqa: UP006  the SDK's hints use it
        return _list(value, typing.get_args(hint)[0], how, where)
    if origin in (dict, typing.Dict):  # noqa: UP006  the SDK's hints use it
        return _mapping(value, typing.get_args(hint)[1], how, where)
    if typing_extensions.is_typeddict(hint):
        return _fields(value, how.schema_for(hint), how, where)
    if hint is type(None):
        return _none(value, where)
    return SCALARS.get(hint, _anything)(value, how, where)


def _literal(value: Any, allowed: tuple[Any, ...], where: str) -> Any:
    if value in allowed and isinstance(value, str):
        return value
    if value in ("true", "false") and (value == "true") in allowed:
        return value == "true"
    if isinstance(value, bool) and value in allowed:
        return value
    names = ", ".join(str(one) for one in allowed if one != "")
    raise Mistype(where, f"Invalid {where}: must be one of {names or 'an empty string'}")


def _list(value: Any, of: Any, how: Coercion, where: str) -> list[Any]:
    if isinstance(value, dict) and value and all(str(key).isdigit() for key in value):
        value = [value[key] for key in sorted(value, key=int)]
    if not isinstance(value, list):
        raise Mistype(where, "Invalid array")
    return [_value(one, of, how, _inside(where, index)) for index, one in enumerate(value)]


def _mapping(value: Any, of: Any, how: Coercion, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Mistype(where, "Invalid object")
    return {name: _value(one, of, how, _inside(where, name)) for name, one in value.items()}


def _none(value: Any, where: str) -> None:
    if value is not None and value != "":
        raise Mistype(where, f"Invalid {where}")


def _string(value: Any, how: Coercion, where: str) -> str:
    if not isinstance(value, str):
        raise Mistype(where, f"Invalid string: {value!r}")
    return value


def _integer(value: Any, how: Coercion, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, str if how.form else int):
        raise Mistype(where, f"Invalid integer: {value}", "parameter_invalid_integer")
    try:
        return int(value)
    except ValueError as problem:
        text = f"Invalid integer: {value}"
        raise Mistype(where, text, "parameter_invalid_integer") from problem


def _boolean(value: Any, how: Coercion, where: str) -> bool:
    if isinstance(value, bool) and not how.form:
        return value
    if value not in ("true", "false"):
        raise Mistype(where, f"Invalid boolean: {value}")
    return bool(value == "true")


def _decimal(value: Any, how: Coercion, where: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation as problem:
        raise Mistype(where, f"Invalid decimal: {value}") from problem
    # Stripe reads plain digits only: 1E-9 is refused
    if not number.is_finite() or "e" in str(value).lower():
        raise Mistype(where, f"Invalid decimal: {value}")
    return number


def _anything(value: Any, how: Coercion, where: str) -> Any:
    return value


SCALARS: dict[Any, Callable[[Any, Coercion, str], Any]] = {
    str: _string,
    int: _integer,
    bool: _boolean,
    float: _decimal,
    Decimal: _decimal,
}
