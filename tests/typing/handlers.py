"""Handlers of events as hosts write them; checked by mypy, never run.

An ignored line is a mistake that has to be found: an ignore without an error is an error.
"""

from __future__ import annotations

from typing import Any

from comp_billing.handlers import Handler, on
from comp_billing.models import Charge, Event, Invoice, StripeObject


@on("invoice.paid")
def of_any_kind(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None: ...


@on("invoice.paid", "invoice.voided", stored=True)
def of_one_kind(event: Event, obj: Invoice | None, previous: dict[str, Any]) -> None: ...


@on("invoice.*", model=Invoice)
def given_one_kind(event: Event, obj: Invoice | None, previous: dict[str, Any]) -> None: ...


@on("invoice.*", model=Invoice, stored=True)
def takes_more(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None: ...


@on("charge.*")
def untyped(event: Event, obj: Any, previous: dict[str, Any]) -> None: ...


# What on() answers can be passed on as what it is.
passed_on: Handler[Invoice] = of_one_kind


@on("invoice.paid")  # type: ignore[arg-type]  # there may be no row
def without_none(event: Event, obj: Invoice, previous: dict[str, Any]) -> None: ...


@on("invoice.*", model=Invoice)  # type: ignore[arg-type]  # asks for invoices
def of_another_kind(event: Event, obj: Charge | None, previous: dict[str, Any]) -> None: ...


@on("invoice.paid")  # type: ignore[type-var]  # no row of anything
def of_no_kind(event: Event, obj: str | None, previous: dict[str, Any]) -> None: ...


@on("invoice.paid")  # type: ignore[arg-type]  # is called with three
def takes_less(event: Event) -> None: ...
