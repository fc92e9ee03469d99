"""Objects in the shape of the SDK's resource classes: every field that they declare.

A resource's annotations give the fields and their kinds. Fields that may be null are null
unless set, lists are empty unless set; a field that must have a value and was given none, or a
value for a field that does not exist, is a bug of the stand-in and stops it.
"""

import functools
import inspect
import types
import typing
from typing import Any

import stripe
from stripe._list_object import ListObject
from stripe._stripe_object import StripeObject, UntypedStripeObject

Json = dict[str, Any]
UNIONS = (typing.Union, types.UnionType)

CLASSES: dict[str, type] = {
    "customer": stripe.Customer,
    "product": stripe.Product,
    "price": stripe.Price,
    "plan": stripe.Plan,
    "billing.meter": stripe.billing.Meter,
    "billing.meter_event": stripe.billing.MeterEvent,
    "billing.meter_event_adjustment": stripe.billing.MeterEventAdjustment,
    "billing.meter_event_summary": stripe.billing.MeterEventSummary,
    "billing.credit_grant": stripe.billing.CreditGrant,
    "billing.credit_balance_transaction": stripe.billing.CreditBalanceTransaction,
    "billing.credit_balance_summary": stripe.billing.CreditBalanceSummary,
    "customer_balance_transaction": stripe.CustomerBalanceTransaction,
    "subscription": stripe.Subscription,
    "subscription_item": stripe.SubscriptionItem,
    "invoice": stripe.Invoice,
    "line_item": stripe.InvoiceLineItem,
    "invoiceitem": stripe.InvoiceItem,
    "invoice_payment": stripe.InvoicePayment,
    "payment_intent": stripe.PaymentIntent,
    "setup_intent": stripe.SetupIntent,
    "payment_method": stripe.PaymentMethod,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "webhook_endpoint": stripe.WebhookEndpoint,
    "checkout.session": stripe.checkout.Session,
    "billing_portal.session": stripe.billing_portal.Session,
    "billing_portal.configuration": stripe.billing_portal.Configuration,
}

# Declared, but absent unless expanded or of another kind of object.
ABSENT: dict[str, frozenset[str]] = {
    "customer": frozenset(
        {"deleted", "sources", "subscriptions", "tax_ids", "tax", "cash_balance"}
    ),
    "product": frozenset({"deleted"}),
    "price": frozenset({"deleted", "currency_options", "tiers"}),
    "plan": frozenset({"deleted", "tiers"}),
    "subscription_item": frozenset({"deleted"}),
    "invoice": frozenset({"deleted", "payments", "confirmation_secret"}),
    "invoiceitem": frozenset({"deleted"}),
    "charge": frozenset({"refunds", "level3"}),
    "webhook_endpoint": frozenset({"deleted", "secret"}),
    "checkout.session": frozenset({"line_items"}),
    "payment_method": frozenset(stripe.PaymentMethod.__annotations__) - {"card", "allow_redisplay"},
}

# Of the many alternatives that these declare one is given and the others are absent.
ONE_OF = frozenset({"PaymentMethodDetails", "PaymentMethodOptions"})


class ShapeError(AssertionError):
    """The stand-in built an object that the SDK's class does not describe."""


@functools.cache
def _fields(cls: type) -> dict[str, Any]:
    hints = inspect.get_annotations(cls)
    return {name: hint for name, hint in hints.items() if name != "OBJECT_NAME"}


def _parts(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in UNIONS else (hint,)


def _nested(hint: Any) -> type | None:
    """The class of a nested object, where the annotation names one."""
    for part in _parts(hint):
        if inspect.isclass(part) and issubclass(part, StripeObject) and not _is_open(part):
            return part
    return None


def _is_open(cls: type) -> bool:
    return issubclass(cls, ListObject | UntypedStripeObject) or "OBJECT_NAME" in vars(cls)


def _blank(cls: type, name: str, hint: Any) -> Any:
    if type(None) in _parts(hint):
        return None
    if typing.get_origin(hint) is list:
        return []
    if typing.get_origin(hint) is UntypedStripeObject:
        return {}
    if nested := _nested(hint):
        return fill(nested, {})
    raise ShapeError(f"{cls.__qualname__}.{name} needs a value")


def fill(cls: type, values: Json, *, absent: frozenset[str] = frozenset()) -> Json:
    """The values completed by every other field of the class."""
    fields = _fields(cls)
    if unknown := values.keys() - fields.keys():
        raise ShapeError(f"{cls.__qualname__} has no field {sorted(unknown)}")
    result: Json = {}
    for name, hint in fields.items():
        if name in values:
            nested = _nested(hint)
            value = values[name]
            result[name] = fill(nested, value) if nested and isinstance(value, dict) else value
        elif name not in absent and cls.__name__ not in ONE_OF:
            result[name] = _blank(cls, name, hint)
    return result


def shape(kind: str, **values: Any) -> Json:
    """An object of the kind with every field the SDK declares for it."""
    made = {"object": kind, **values}
    return fill(CLASSES[kind], made, absent=ABSENT.get(kind, frozenset()) - values.keys())


def listed(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    """A list object; `url` is the path it can be read at."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
