"""Invoices that no subscription makes: drafted by hand, filled with items, deleted again."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids, invoices
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import given, stub
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
FIELDS = ("description", "footer", "metadata", "default_payment_method")


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoices: an empty draft that waits to be finalised by hand."""
    params = asked.params
    if "subscription" in params:
        raise ApiError("The stand-in drafts invoices without a subscription.", param="subscription")
    customer = world.need("customer", params.get("customer", ""), param="customer")
    fields: Json = {
        "auto_advance": False,
        "collection_method": "charge_automatically",
        **given(params, FIELDS),
    }
    draft = invoices.blank(
        world,
        customer,
        "manual",
        currency=params.get("currency") or customer["currency"] or "usd",
        **fields,
    )
    return world.add(draft, "invoice.created")


def delete(world: "StandIn", asked: Request) -> Json:
    """DELETE /v1/invoices/{id}: a draft that no subscription made; unknown from then on."""
    invoice = world.need("invoice", asked.args[0])
    if invoice["status"] != "draft" or invoices.subscription_of(invoice):
        raise ApiError("You can only delete draft invoices that no subscription created.")
    for item in world.store.where("invoiceitem", invoice=invoice["id"]):
        world.change(item, invoice=None)
    world.store.remove("invoice", invoice["id"])
    world.events.emit("invoice.deleted", invoice)
    return stub(invoice)


def create_item(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoiceitems: an amount on a draft."""
    params = asked.params
    invoice = world.need("invoice", params.get("invoice", ""), param="invoice")
    if invoice["status"] != "draft":
        raise ApiError("Invoice items can be added to drafts only.", code="invoice_not_editable")
    if params.get("currency", invoice["currency"]) != invoice["currency"]:
        raise ApiError("The currency is not that of the invoice.", param="currency")
    item = world.add(_item(world, invoice, params), "invoiceitem.created")
    balance = world.need("customer", invoice["customer"])["balance"]
    data = [*invoice["lines"]["data"], _line(item)]
    world.change(invoice, "invoice.updated", **invoices.sums(invoice["id"], data, balance))
    return item


def retrieve_item(world: "StandIn", asked: Request) -> Json:
    """GET /v1/invoiceitems/{id}."""
    return world.need("invoiceitem", asked.args[0])


def list_items(world: "StandIn", asked: Request) -> Json:
    """GET /v1/invoiceitems."""
    return page(world, "invoiceitem", asked, equal=equal_to(asked, "customer", "invoice"))


def _item(world: "StandIn", invoice: Json, params: Json) -> Json:
    now = world.now()
    return shape(
        "invoiceitem",
        id=ids.new_id("invoiceitem"),
        amount=int(params.get("amount", 0)),
        currency=invoice["currency"],
        customer=invoice["customer"],
        date=now,
        description=params.get("description"),
        discountable=True,
        invoice=invoice["id"],
        livemode=False,
        metadata=params.get("metadata") or {},
        net_amount=int(params.get("amount", 0)),
        period={"start": now, "end": now},
        proration=False,
        quantity=1,
        quantity_decimal="1",
    )


def _line(item: Json) -> Json:
    details = {"invoice_item": item["id"], "proration": False}
    return shape(
        "line_item",
        id=ids.new_id("line_item"),
        amount=item["amount"],
        currency=item["currency"],
        description=item["description"],
        discount_amounts=[],
        discountable=True,
        invoice=item["invoice"],
        livemode=False,
        metadata={},
        parent={"type": "invoice_item_details", "invoice_item_details": details},
        period=item["period"],
        pretax_credit_amounts=[],
        quantity=1,
        quantity_decimal="1",
        subtotal=item["amount"],
        taxes=[],
    )
