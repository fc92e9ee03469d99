"""The stand-in's objects against the SDK's resource classes: no field is missing or mistyped."""

from __future__ import annotations

import inspect
import typing
from decimal import Decimal
from typing import Any

import pytest
import stripe
from stripe._list_object import ListObject
from stripe._stripe_object import StripeObject, UntypedStripeObject

from comp_billing.testing.standin import disputes
from comp_billing.testing.standin.shapes import CLASSES, ShapeError, shape
from tests.billing.standin_rig import Account, Shop, open_shop

SCALARS: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    bool: (bool,),
    float: (int, float),
    Decimal: (str,),
}


def faults(value: Any, hint: Any, where: str) -> list[str]:  # noqa: PLR0911  one case a line
    """What of a JSON value does not fit a resource class's annotation."""
    origin = typing.get_origin(hint)
    if origin is typing.Union:
        every = [faults(value, part, where) for part in typing.get_args(hint)]
        return min(every, key=len)
    if hint is type(None):
        return [] if value is None else [f"{where} is not null"]
    if origin is typing.Literal:
        return [] if value in typing.get_args(hint) else [f"{where}: {value!r} is no choice"]
    if origin in (list, ListObject):
        data = value.get("data") if isinstance(value, dict) else value
        if not isinstance(data, list):
            return [f"{where} is no list"]
        (inner,) = typing.get_args(hint)
        return [
            one
            for index, item in enumerate(data)
            for one in faults(item, inner, f"{where}[{index}]")
        ]
    if origin is UntypedStripeObject:
        return [] if isinstance(value, dict) else [f"{where} is no object"]
    if isinstance(hint, typing.ForwardRef):
        return [] if isinstance(value, str | dict) else [f"{where}: {value!r} is no object"]
    if inspect.isclass(hint) and issubclass(hint, StripeObject):
        return missing(value, hint, where)
    return [] if isinstance(value, SCALARS.get(hint, (object,))) else [f"{where}: {value!r}"]


def missing(value: Any, cls: type, where: str) -> list[str]:
    """Fields that an object lacks, has too many, or of the wrong type."""
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    known = inspect.get_annotations(cls)
    found = [f"{where}.{name} is unknown" for name in value.keys() - known.keys()]
    for name, hint in known.items():
        optional = type(None) in typing.get_args(hint)
        if name == "OBJECT_NAME" or (name not in value and optional):
            continue
        if name not in value:
            found.append(f"{where}.{name} is missing")
        else:
            found += faults(value[name], hint, f"{where}.{name}")
    return found


def credit_left(shop: Shop) -> dict[str, Any]:
    """The summary of a customer's credit, after a grant of ten dollars."""
    v1, customer = shop.account.v1, shop.customer.id
    scope = {"price_type": "metered"}
    shop.grant()
    wanted = {"type": "applicability_scope", "applicability_scope": scope}
    summary = v1.billing.credit_balance_summary.retrieve({"customer": customer, "filter": wanted})
    return dict(summary.to_dict(for_json=True))


@pytest.fixture
def everything(shop_account: Account) -> dict[str, list[dict[str, Any]]]:
    """An account in which a month has gone by, its objects by kind."""
    shop = open_shop(shop_account)
    shop.use(1_000_000, "run-1")
    shop.next_month()
    v1 = shop_account.v1
    charge = v1.charges.list({"customer": shop.customer.id}).data[0]
    v1.refunds.create({"charge": charge.id, "amount": 10})
    disputes.raise_one(shop_account.world, charge.id)
    drafted = v1.invoices.create({"customer": shop.customer.id})
    v1.invoice_items.create({"customer": shop.customer.id, "invoice": drafted.id, "amount": 5})
    v1.setup_intents.create({"customer": shop.customer.id})
    v1.webhook_endpoints.create({"url": "https://x.example", "enabled_events": ["*"]})
    setup = {"mode": "setup", "currency": "usd", "success_url": "https://x.example/ok"}
    v1.checkout.sessions.create({**setup, "customer": shop.customer.id})
    v1.billing_portal.sessions.create({"customer": shop.customer.id})
    v1.customers.balance_transactions.create(shop.customer.id, {"amount": -5, "currency": "usd"})
    start = shop.subscription.start_date // 60 * 60
    window = {"start_time": start, "end_time": start + 120, "customer": shop.customer.id}
    used = v1.billing.meters.event_summaries.list(shop.meter.id, window).data
    world, left = shop_account.world, credit_left(shop)
    found = {kind: [world.view(obj) for obj in world.store.where(kind)] for kind in CLASSES}
    found["billing.meter_event"] = [shop.use(1, "run-2").to_dict(for_json=True)]
    found["billing.meter_event_summary"] = [one.to_dict(for_json=True) for one in used]
    found["billing.credit_balance_summary"] = [left]
    found["plan"] = [v1.plans.retrieve(shop.price.id).to_dict(for_json=True)]
    adjusted = v1.billing.meter_event_adjustments.create(
        {"event_name": shop.meter.event_name, "type": "cancel", "cancel": {"identifier": "run-2"}}
    )
    found["billing.meter_event_adjustment"] = [adjusted.to_dict(for_json=True)]
    invoice = v1.invoices.list({"customer": shop.customer.id}).data[1]
    lines = v1.invoices.line_items.list(invoice.id).data
    lines += v1.invoices.line_items.list(drafted.id).data
    found["line_item"] = [line.to_dict(for_json=True) for line in lines]
    return found


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_objects_have_the_shape_of_the_sdks_classes(
    everything: dict[str, list[dict[str, Any]]], kind: str
) -> None:
    """Every required field is there, no other than the class's, all of types it allows."""
    objects = everything[kind]

    wrong = [fault for obj in objects for fault in missing(obj, CLASSES[kind], kind)]

    assert (bool(objects), wrong) == (True, [])


def test_events_carry_the_whole_object(everything: dict[str, list[dict[str, Any]]]) -> None:
    """`data.object` of every event has the shape of its class; an upcoming invoice has no id."""
    told = [event for event in everything["event"] if event["type"] != "invoice.upcoming"]
    snapshots = [event["data"]["object"] for event in told]

    wrong = [
        fault for obj in snapshots for fault in missing(obj, CLASSES[obj["object"]], obj["object"])
    ]

    assert wrong == []


def test_a_field_that_does_not_exist_stops_the_stand_in() -> None:
    """A slip of the pen in the stand-in is found where it is made."""
    with pytest.raises(ShapeError, match="usage_record"):
        shape("customer", id="cus_1", created=0, livemode=False, usage_record=1)


def test_a_required_field_without_a_value_stops_the_stand_in() -> None:
    """Nothing is invented."""
    with pytest.raises(ShapeError, match="livemode"):
        shape("customer", id="cus_1", created=0)


def test_the_sdk_reads_an_invoice_by_its_current_fields(shop_account: Account) -> None:
    """Periods on items, the parent's subscription, payments only when expanded."""
    shop = open_shop(shop_account)
    shop.use(1_000_000, "run-1")
    shop.next_month()

    plain = shop_account.v1.invoices.list({"customer": shop.customer.id}).data[0]

    payments = hasattr(plain, "payments")
    kinds = (type(plain), type(plain.lines.data[0]))
    assert (payments, kinds) == (False, (stripe.Invoice, stripe.InvoiceLineItem))
