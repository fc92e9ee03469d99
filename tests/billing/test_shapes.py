"""Readers of Stripe's objects: current and former shapes, and anything else without an error."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comp_billing import shapes
from comp_billing.mirror import KINDS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "id",
        "object",
        "customer",
        "invoice",
        "subscription",
        "items",
        "payments",
        "payment",
        "price",
        "plan",
        "product",
        "recurring",
        "parent",
        "status",
        "amount",
        "total",
        "created",
        "name",
        "email",
        "invoice_settings",
        "metadata",
        "current_period_start",
        "unit_amount_decimal",
        "currency",
        "active",
        "event_name",
        "payment_intent",
        "charge",
        "lines",
    ]
)


@pytest.mark.parametrize("kind", sorted(KINDS))
# A busy machine is no reason to fail.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(fields=st.dictionaries(FIELDS, JSON, max_size=12))
def test_columns_are_read_from_anything(kind: str, fields: dict[str, Any]) -> None:
    """Whatever Stripe, or a version of its API not known yet, puts where."""
    model = KINDS[kind]
    data = {**fields, "id": "x_1", "object": kind}
    expected = set(model.columns({"id": "x_1"}))
    assert set(model.columns(data)) == expected
    assert isinstance(model.embedded(data), list)
    assert model.is_final(data) in (True, False)


@pytest.mark.parametrize(
    ("invoice", "subscription"),
    [
        ({"parent": {"subscription_details": {"subscription": "sub_1"}}}, "sub_1"),
        ({"parent": {"subscription_details": {"subscription": {"id": "sub_1"}}}}, "sub_1"),
        ({"subscription": "sub_1"}, "sub_1"),
        ({"parent": None, "subscription": None}, None),
        ({}, None),
    ],
)
def test_the_subscription_of_an_invoice_is_found_where_it_is_and_was(
    invoice: dict[str, Any], subscription: str | None
) -> None:
    """Under ``parent`` since 2025-03-31."""
    assert shapes.invoice_subscription(invoice) == subscription


@pytest.mark.parametrize(
    ("value", "key"),
    [("a", "a"), ({"id": "a"}, "a"), ("", None), (5, None), ({}, None), ("a" * 256, None)],
)
def test_a_reference_is_an_id_or_an_expanded_object(value: Any, key: str | None) -> None:
    """Nothing else, and nothing longer than an id can be."""
    assert shapes.ref(value) == key


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (True, None),
        ("0", None),
        (10**30, None),
        (None, None),
    ],
)
def test_a_moment_is_unix_seconds(value: Any, moment: datetime | None) -> None:
    """Aware, in UTC."""
    assert shapes.moment(value) == moment


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        ({"unit_amount_decimal": "0.0001", "unit_amount": None}, Decimal("0.0001")),
        ({"unit_amount": 5}, Decimal(5)),
        ({"amount": 7}, Decimal(7)),
        ({"unit_amount_decimal": "NaN"}, None),
        ({"unit_amount_decimal": "1e40"}, None),
        ({"unit_amount_decimal": "1e9999999999"}, None),
        ({"unit_amount_decimal": "1e-9999999999"}, Decimal(0)),
        ({}, None),
    ],
)
def test_a_price_is_read_exactly(price: dict[str, Any], amount: Decimal | None) -> None:
    """From a price or a former plan, never through a float."""
    assert shapes.unit_amount(price) == amount


@pytest.mark.parametrize(
    ("line", "product"),
    [
        ({"pricing": {"price_details": {"product": "prod_1"}}}, "prod_1"),
        ({"price": {"product": "prod_1"}}, "prod_1"),
        ({"price": "price_1"}, None),
        ({}, None),
    ],
)
def test_the_product_of_a_line_is_found_where_it_is_and_was(
    line: dict[str, Any], product: str | None
) -> None:
    """Under ``pricing`` since 2025-03-31."""
    assert shapes.line_product(line) == product


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ({"parent": {"subscription_item_details": {"subscription_item": "si_1"}}}, "si_1"),
        ({"subscription_item": "si_1"}, "si_1"),
        ({"parent": {"type": "invoice_item_details"}}, None),
        ({}, None),
    ],
)
def test_the_item_of_a_line_is_found_where_it_is_and_was(
    line: dict[str, Any], item: str | None
) -> None:
    """Under ``parent`` since 2025-03-31."""
    assert shapes.line_item(line) == item


@pytest.mark.parametrize(
    ("page", "whole"),
    [
        ({"data": [], "has_more": False}, True),
        ({"data": [], "has_more": True}, False),
        ({"data": []}, False),
        ({"has_more": False}, False),
        (None, False),
    ],
)
def test_a_list_is_whole_only_when_it_says_so(page: Any, whole: bool) -> None:
    """Absence means removal in a whole list only."""
    assert shapes.is_whole(page) is whole


@pytest.mark.parametrize("value", [".", "..", "...", {"id": ".."}])
def test_dots_are_no_id(value: Any) -> None:
    """As the last part of a path they would lead to another one."""
    assert shapes.ref(value) is None
