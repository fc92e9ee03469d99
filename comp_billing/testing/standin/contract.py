"""What a request may contain: read from the parameter types of the installed Stripe SDK.

The SDK's service modules say which method and path takes which TypedDict. They are read as
text (importing all of them takes ten times as long); a TypedDict is resolved when first used.
So the check is exactly as new as the installed SDK.
"""

import ast
import functools
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stripe
import typing_extensions
from stripe._request_options import RequestOptions
from stripe._stripe_context import StripeContext

from comp_billing.testing.standin.coercion import Schema, coerce_fields

OPTION_KEYS = frozenset(RequestOptions.__annotations__)


@dataclass(frozen=True)
class Route:
    """One method of the SDK: the path's pattern and where its parameters' type is found."""

    verb: str
    path: str
    pattern: re.Pattern[str]
    module: str
    type_name: str


def _constant(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _constant(node.func.value)
    return None


def _params_type(method: ast.FunctionDef) -> str:
    every = [*method.args.posonlyargs, *method.args.args, *method.args.kwonlyargs]
    for argument in every:
        if argument.arg == "params" and argument.annotation:
            found = re.findall(r"\w+Params\b", ast.unparse(argument.annotation))
            return found[0] if found else ""
    return ""


def _sent(method: ast.FunctionDef) -> tuple[str, str] | None:
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self._request":
            verb, path = _constant(node.args[0]), _constant(node.args[1])
            if verb and path:
                return verb.upper(), path
    return None


def _routes_of(text: str) -> Iterator[Route]:
    tree = ast.parse(text)
    homes = {
        name.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    for method in ast.walk(tree):
        if isinstance(method, ast.FunctionDef) and (sent := _sent(method)):
            verb, path = sent
            pattern = re.compile(re.sub(r"\{\w+\}", r"([^/]+)", path) + r"\Z")
            name = _params_type(method)
            yield Route(verb, path, pattern, homes.get(name, ""), name)


@functools.cache
def routes() -> dict[str, list[Route]]:
    """Every route of the SDK by verb, those without a parameter in the path first."""
    found: dict[str, list[Route]] = {}
    for file in sorted(Path(stripe.__file__).parent.rglob("*_service.py")):
        text = file.read_text(encoding="utf-8")
        if "self._request(" in text:
            for route in _routes_of(text):
                found.setdefault(route.verb, []).append(route)
    for of_verb in found.values():
        of_verb.sort(key=lambda route: route.path.count("{"))
    return found


def find(verb: str, path: str) -> Route | None:
    """The SDK's route for a request, or None if the SDK has no such method."""
    return next((r for r in routes().get(verb, []) if r.pattern.match(path)), None)


def _schema(params: type) -> Schema:
    return _hints(params), frozenset(getattr(params, "__required_keys__", ()))


@functools.cache
def _hints(params: type) -> dict[str, Any]:
    known = {"StripeContext": StripeContext, "Mapping": Mapping}
    return typing_extensions.get_type_hints(params, localns=known)


@functools.cache
def schema_of(route: Route) -> Schema:
    """The parameters of a route: their types, and which of them are required."""
    if not route.module:
        return {}, frozenset()
    hints, required = _schema(getattr(importlib.import_module(route.module), route.type_name))
    return {n: h for n, h in hints.items() if n not in OPTION_KEYS}, required - OPTION_KEYS


def check(route: Route, params: dict[str, Any], *, form: bool) -> dict[str, Any]:
    """The parameters in their Python types; raises Stripe's error for the first wrong one.

    `form` says that the values came form-encoded, so that all of them are strings.
    """
    return coerce_fields(params, schema_of(route), schema_for=_schema, form=form, where="")
