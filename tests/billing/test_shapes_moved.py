"""Fields that Stripe has moved: read where they are and where they were, in one place alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from comp_billing import shapes
from tests.hostile_webhooks.values import ANYTHING

BILLING = Path(shapes.__file__).parent
MOVED = {
    "account_balance",
    "balance",
    "current_period_end",
    "current_period_start",
    "paid",
    "parent",
    "payments",
    "period",
    "price_details",
    "pricing",
    "quantity_decimal",
    "subscription_details",
    "subscription_item_details",
    "tax",
    "total_tax_amounts",
    "total_taxes",
}
READERS = (
    shapes.balance,
    shapes.invoice_payments,
    shapes.invoice_subscription,
    shapes.is_paid,
    shapes.item_period,
    shapes.item_price,
    shapes.line_item,
    shapes.line_period,
    shapes.line_product,
    shapes.line_quantity,
    shapes.recurring,
    shapes.subscription_period,
    shapes.tax,
    shapes.truncated_lists,
    shapes.unit_amount,
)


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def read_elsewhere() -> Iterator[str]:
    """Places outside of shapes and models that read a moved field from an object."""
    for path in sorted(BILLING.rglob("*.py")):
        name = path.relative_to(BILLING).as_posix()
        if name == "shapes.py" or name.startswith(("models/", "testing/", "migrations/")):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if _key_read(node) in MOVED:
                yield f"{name}:{node.lineno}"  # type: ignore[attr-defined]


def _key_read(node: ast.AST) -> object:
    """``"x"`` of ``….get("x")`` and of ``…["x"]``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        key = node.args[0] if node.func.attr == "get" else None
    else:
        key = node.slice if isinstance(node, ast.Subscript) else None
    return key.value if isinstance(key, ast.Constant) else None


def test_moved_fields_are_read_in_one_place() -> None:
    """Whoever needs one asks ``shapes``."""
    assert list(read_elsewhere()) == []


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(value=ANYTHING, inner=ANYTHING)
def test_a_reader_never_raises(reader: Any, value: Any, inner: Any) -> None:
    """Anything in any of the moved fields, and within them."""
    fields = [*MOVED, "price", "plan", "product", "recurring", "items", "charge", "amount"]
    assert reader(dict.fromkeys(fields, value)) is not NotImplemented
    nested = {name: dict.fromkeys([*fields, "data", "url", "start"], inner) for name in fields}
    assert reader(nested) is not NotImplemented
    lists = {name: {"data": [nested, inner]} for name in fields}
    assert reader({**lists, "total_taxes": [value, inner]}) is not NotImplemented


@pytest.mark.parametrize(
    ("item", "subscription", "period"),
    [
        ({"current_period_start": 1, "current_period_end": 2}, None, (at(1), at(2))),
        ({}, {"current_period_start": 1, "current_period_end": 2}, (at(1), at(2))),
        (
            {"current_period_start": 3, "current_period_end": 4},
            {"current_period_start": 1, "current_period_end": 2},
            (at(3), at(4)),
        ),
        ({"current_period_start": "soon"}, {}, (None, None)),
    ],
)
def test_the_period_of_an_item_is_found_where_it_is_and_was(
    item: dict[str, Any], subscription: dict[str, Any] | None, period: tuple[Any, Any]
) -> None:
    """On the item since 2025-03-31, on its subscription before."""
    assert shapes.item_period(item, subscription=subscription) == period


@pytest.mark.parametrize(
    ("subscription", "period"),
    [
        (
            {
                "items": {
                    "data": [
                        {"current_period_start": 5, "current_period_end": 9},
                        {"current_period_start": 6, "current_period_end": 8},
                    ]
                }
            },
            (at(5), at(8)),
        ),
        ({"current_period_start": 1, "current_period_end": 2}, (at(1), at(2))),
        (
            {"current_period_start": 1, "current_period_end": 2, "items": {"data": [{}, {}]}},
            (at(1), at(2)),
        ),
        ({"items": {"data": []}}, (None, None)),
    ],
)
def test_the_period_of_a_subscription_spans_no_more_than_each_items(
    subscription: dict[str, Any], period: tuple[Any, Any]
) -> None:
    """The earliest start and the earliest end; items may differ."""
    assert shapes.subscription_period(subscription) == period


@pytest.mark.parametrize(
    ("invoice", "paid"),
    [
        ({"status": "paid"}, True),
        ({"status": "open", "paid": True}, False),
        ({"paid": True}, True),
        ({"status": None, "paid": False}, False),
        ({}, False),
    ],
)
def test_paid_is_a_status(invoice: dict[str, Any], paid: bool) -> None:
    """The flag counts only where there is no status."""
    assert shapes.is_paid(invoice) is paid


PAID = {"id": "inpay_1", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}


@pytest.mark.parametrize(
    ("invoice", "payments"),
    [
        ({"payments": {"data": [PAID], "has_more": False}, "charge": "ch_1"}, [PAID]),
        (
            {"charge": "ch_1", "payment_intent": {"id": "pi_1"}},
            [{"is_default": True, "payment": {"charge": "ch_1", "payment_intent": "pi_1"}}],
        ),
        ({"charge": None}, []),
        ({}, []),
    ],
)
def test_the_payments_of_an_invoice_are_found_where_they_are_and_were(
    invoice: dict[str, Any], payments: list[Any]
) -> None:
    """A list since 2025-03-31; before, the invoice named its charge."""
    assert shapes.invoice_payments(invoice) == payments


@pytest.mark.parametrize(
    ("invoice", "tax"),
    [
        ({"total_taxes": [{"amount": 3}, {"amount": 4}], "tax": 9}, 7),
        ({"total_taxes": []}, 0),
        ({"total_tax_amounts": [{"amount": 5}, None]}, 5),
        ({"total_taxes": None, "tax": 9}, 9),
        ({}, None),
    ],
)
def test_the_tax_of_an_invoice_is_found_where_it_is_and_was(
    invoice: dict[str, Any], tax: int | None
) -> None:
    """A list of taxes, under two names; one amount before."""
    assert shapes.tax(invoice) == tax


@pytest.mark.parametrize(
    ("customer", "balance"),
    [({"balance": -5}, -5), ({"balance": 0, "account_balance": 7}, 0), ({"account_balance": 7}, 7)],
)
def test_the_balance_of_a_customer_is_found_where_it_is_and_was(
    customer: dict[str, Any], balance: int
) -> None:
    """Under a longer name until 2019-10-17."""
    assert shapes.balance(customer) == balance


@pytest.mark.parametrize(
    ("line", "quantity"),
    [
        ({"quantity_decimal": "2.5", "quantity": 2}, Decimal("2.5")),
        ({"quantity": 2}, Decimal(2)),
        ({"quantity_decimal": None, "quantity": None}, None),
    ],
)
def test_the_quantity_of_a_line_is_not_cut(line: dict[str, Any], quantity: Decimal | None) -> None:
    """The older field is a whole number."""
    assert shapes.line_quantity(line) == quantity


@pytest.mark.parametrize(
    ("line", "period"),
    [({"period": {"start": 1, "end": 2}}, (at(1), at(2))), ({"period": 5}, (None, None))],
)
def test_the_period_of_a_line_is_its_own(line: dict[str, Any], period: tuple[Any, Any]) -> None:
    """An invoice's period is another one."""
    assert shapes.line_period(line) == period


@pytest.mark.parametrize(
    ("item", "price"),
    [({"price": {"id": "price_1"}, "plan": {"id": "plan_1"}}, "price_1"), ({"plan": "a"}, "a")],
)
def test_the_price_of_an_item_may_be_its_plan(item: dict[str, Any], price: str) -> None:
    """One object, two names."""
    assert shapes.item_price(item) == price
