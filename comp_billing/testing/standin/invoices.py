"""Invoices: built from a subscription's items, finalised, collected, voided, previewed."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import amounts, ids, items, meters, payments
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import merged
from comp_billing.testing.standin.periods import later, moment
from comp_billing.testing.standin.shapes import listed, shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400

# -- what is billed ---------------------------------------------------------------------------------


def usage_specs(subscription: Json, item: Json, *, until: int) -> list[Json]:
    """The metered lines of an item's period up to `until`: one for each price in force in it."""
    start = max(item["current_period_start"], subscription["trial_end"] or 0)
    segments = item["_segments"]
    ends = [segment["from"] for segment in segments[1:]] + [until]
    return [
        {
            "item": item["id"],
            "price": segment["price"],
            "start": max(start, segment["from"]),
            "end": end,
        }
        for segment, end in zip(segments, ends, strict=True)
        if end > start
    ]


def advance_spec(item: Json, *, start: int, end: int) -> Json:
    """The licensed line of an item for the period to come."""
    price = item["_segments"][-1]["price"]
    return {"item": item["id"], "price": price, "start": start, "end": end,
            "quantity": item["quantity"]}  # fmt: skip


def _quantity(world: "StandIn", customer: str, spec: Json) -> int:
    if "quantity" in spec:
        return int(spec["quantity"])
    meter = world.need("billing.meter", spec["price"]["recurring"]["meter"])
    return meters.used(world, meter, customer, spec["start"], spec["end"])


def _description(world: "StandIn", price: Json, quantity: int) -> str:
    product = world.store.get("product", price["product"]) or {}
    each = (price["unit_amount_decimal"] or "tiered") + " " + price["currency"].upper()
    return f"{quantity} × {product.get('name', price['product'])} (at {each} minor units)"


def line(world: "StandIn", subscription: Json, spec: Json, invoice: str) -> Json:
    """One line: quantity and amount, rounded once."""
    price = spec["price"]
    quantity = _quantity(world, subscription["customer"], spec)
    amount = amounts.cost(price, quantity)
    details = {"proration": False, "subscription": subscription["id"],
               "subscription_item": spec["item"]}  # fmt: skip
    return shape(
        "line_item",
        id=spec.get("line") or ids.new_id("line_item"),
        amount=amount,
        currency=price["currency"],
        description=_description(world, price, quantity),
        discount_amounts=[],
        discountable=True,
        invoice=invoice,
        livemode=False,
        metadata={},
        parent={"type": "subscription_item_details", "subscription_item_details": details},
        period={"start": spec["start"], "end": spec["end"]},
        pretax_credit_amounts=[],
        pricing={
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        quantity=quantity,
        quantity_decimal=str(quantity),
        subscription=subscription["id"],
        subtotal=amount,
        taxes=[],
    )


def _sums(invoice_id: str, lines: list[Json], balance: int) -> Json:
    total = sum(one["amount"] for one in lines)
    due = max(total + balance, 0)
    return {
        "amount_due": due,
        "amount_remaining": due,
        "lines": listed(lines, f"/v1/invoices/{invoice_id}/lines"),
        "starting_balance": balance,
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
    }


def build(
    world: "StandIn", subscription: Json, specs: list[Json], reason: str, *, id: str | None = None
) -> Json:
    """A draft of these lines; the caller keeps it."""
    id = id or ids.new_id("invoice")
    customer = world.need("customer", subscription["customer"])
    for spec in specs:
        spec.setdefault("line", ids.new_id("line_item"))
    lines = [line(world, subscription, spec, id) for spec in specs]
    parent = {"subscription": subscription["id"], "metadata": subscription["metadata"]}
    made = shape(
        "invoice", id=id, **_sums(id, lines, customer["balance"]),
        account_country=world.settings["country"], account_name="Stand-in",
        amount_overpaid=0, amount_paid=0, amount_shipping=0, attempt_count=0, attempted=False,
        auto_advance=True, automatic_tax={"enabled": subscription["automatic_tax"]["enabled"]},
        billing_reason=reason, collection_method=subscription["collection_method"],
        created=world.now(), currency=subscription["currency"], customer=customer["id"],
        customer_email=customer["email"], customer_name=customer["name"],
        customer_tax_exempt=customer["tax_exempt"], customer_tax_ids=[],
        default_payment_method=subscription["default_payment_method"],
        issuer={"type": "self"}, livemode=False, metadata={},
        parent={"type": "subscription_details", "subscription_details": parent},
        payment_settings={},
        period_start=min((spec["start"] for spec in specs), default=world.now()),
        period_end=max((spec["end"] for spec in specs), default=world.now()),
        post_payment_credit_notes_amount=0, pre_payment_credit_notes_amount=0, status="draft",
        status_transitions={}, total_discount_amounts=[], total_pretax_credit_amounts=[],
        total_taxes=[],
    )  # fmt: skip
    return {**made, "_specs": specs}


def _drafted(world: "StandIn", subscription: Json, specs: list[Json], reason: str) -> Json:
    """A draft kept, to be finalised when its hour is over; the caller tells of it."""
    invoice = build(world, subscription, specs, reason)
    at = world.now() + world.settings["draft_seconds"]
    if subscription["pause_collection"]:
        invoice |= {"auto_advance": False}
    else:
        invoice |= {"automatically_finalizes_at": at}
        world.clock.schedule(at, "finalize", invoice["id"])
    return world.add(invoice)


def first(world: "StandIn", subscription: Json) -> Json | None:
    """The first invoice of a subscription, if something is due in advance."""
    specs = [
        advance_spec(item, start=item["current_period_start"], end=item["current_period_end"])
        for item in items.of(world, subscription)
        if not items.metered(item)
    ]
    return world.add(build(world, subscription, specs, "subscription_create")) if specs else None


def of_cycle(world: "StandIn", subscription: Json, due: list[Json]) -> Json:
    """The draft at the turn of the cycle: usage of the period past, licences of the one to come.

    `due` are the items as they were before the turn.
    """
    specs = list(subscription["_pending"])
    for item in due:
        end, recurring = item["current_period_end"], item["price"]["recurring"]
        if items.metered(item):
            specs += usage_specs(subscription, item, until=end)
        else:
            next_end = later(end, recurring["interval"], recurring["interval_count"], 1)
            specs.append(advance_spec(item, start=end, end=next_end))
    return _drafted(world, subscription, specs, "subscription_cycle")


def final(world: "StandIn", subscription: Json) -> Json | None:
    """The draft that bills what was used until now, when a subscription ends."""
    specs = list(subscription["_pending"])
    for item in items.of(world, subscription):
        until = min(world.now(), item["current_period_end"])
        specs += usage_specs(subscription, item, until=until) if items.metered(item) else []
    return _drafted(world, subscription, specs, "subscription_cycle") if specs else None


# -- what becomes of it -----------------------------------------------------------------------------


def _number(world: "StandIn", customer: Json) -> str:
    sequence = customer["next_invoice_sequence"]
    return f"{customer['invoice_prefix']}-{sequence:04d}"


def _recounted(world: "StandIn", invoice: Json) -> Json:
    """A draft with the usage that arrived meanwhile."""
    subscription = world.store.get("subscription", subscription_of(invoice) or "")
    customer = world.need("customer", invoice["customer"])
    lines = invoice["lines"]["data"]
    if subscription:
        lines = [line(world, subscription, s, invoice["id"]) for s in invoice["_specs"]]
    return {**invoice, **_sums(invoice["id"], lines, customer["balance"])}


def subscription_of(invoice: Json) -> str | None:
    """The id of the subscription that an invoice is for."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    found = details.get("subscription")
    return str(found) if found else None


def finalize(world: "StandIn", invoice: Json) -> Json:
    """A draft made open: its amount is fixed now, the customer's balance applied.

    What is less than the least charge is not charged: it moves to the balance and the invoice
    counts as paid.
    """
    if invoice["status"] != "draft":
        raise ApiError("This invoice is already finalized, you can't re-finalize a non-draft"
                       " invoice.", code="invoice_no_longer_draft")  # fmt: skip
    customer = world.need("customer", invoice["customer"])
    counted = _recounted(world, invoice)
    wanted = counted["total"] + customer["balance"]
    charged = wanted if wanted >= amounts.minimum(invoice["currency"]) else 0
    now, page = world.now(), f"{world.base_url}/_standin/invoice/{invoice['id']}"
    sent = invoice["collection_method"] == "send_invoice"
    days = (world.store.get("subscription", subscription_of(invoice) or "") or {}).get(
        "days_until_due"
    )
    counted |= {
        "amount_due": charged, "amount_remaining": charged, "automatically_finalizes_at": None,
        "due_date": now + (days or 30) * DAY if sent else None, "effective_at": now,
        "ending_balance": wanted - charged, "hosted_invoice_url": page,
        "invoice_pdf": f"{page}/pdf", "number": _number(world, customer), "status": "open",
        "status_transitions": {**invoice["status_transitions"], "finalized_at": now},
    }  # fmt: skip
    world.store.put(counted)
    world.change(customer, "customer.updated", balance=wanted - charged,
                 next_invoice_sequence=customer["next_invoice_sequence"] + 1)  # fmt: skip
    if charged:
        payments.request_payment(world, counted)
    world.events.emit("invoice.finalized", counted)
    if not charged:
        return payments.settle(world, counted)
    if sent:
        world.events.emit("invoice.sent", counted)
    return world.need("invoice", invoice["id"])


def void(world: "StandIn", invoice: Json) -> Json:
    """An open invoice declared void; its payment is canceled."""
    if invoice["status"] not in ("open", "uncollectible"):
        raise ApiError(f"You can only void open or uncollectible invoices: it is "
                       f"{invoice['status']}.", code="invoice_not_editable")  # fmt: skip
    payments.withdraw(world, invoice)
    transitions = {**invoice["status_transitions"], "voided_at": world.now()}
    voided = world.change(invoice, status="void", status_transitions=transitions,
                          next_payment_attempt=None, auto_advance=False)  # fmt: skip
    world.events.emit("invoice.voided", voided)
    return voided


def write_off(world: "StandIn", invoice: Json) -> Json:
    """An open invoice marked uncollectible."""
    if invoice["status"] != "open":
        raise ApiError("You can only mark open invoices as uncollectible.")
    transitions = {**invoice["status_transitions"], "marked_uncollectible_at": world.now()}
    marked = world.change(invoice, status="uncollectible", status_transitions=transitions,
                          next_payment_attempt=None)  # fmt: skip
    world.events.emit("invoice.marked_uncollectible", marked)
    return marked


def edit(world: "StandIn", invoice: Json, params: Json) -> Json:
    """What may be changed by hand: metadata, description, footer, automatic advance."""
    fields = merged(invoice, params, ["metadata", "description", "footer", "auto_advance"])
    return world.change(invoice, "invoice.updated", **fields)


def month_of(invoice: Json) -> str:
    """The month an invoice was made in, for people."""
    return moment(invoice["created"]).strftime("%Y-%m")
