"""Invoices: built from a subscription's items, finalised, collected, voided, previewed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import amounts, credit, ids, items, lines, payments
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import merged
from comp_billing.testing.standin.periods import later
from comp_billing.testing.standin.shapes import listed, shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400

# what every draft begins with
EMPTY: Json = {
    "account_name": "Stand-in",
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_shipping": 0,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "customer_tax_ids": [],
    "issuer": {"type": "self"},
    "livemode": False,
    "metadata": {},
    "payment_settings": {},
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "status": "draft",
    "status_transitions": {},
    "total_discount_amounts": [],
    "total_pretax_credit_amounts": [],
    "total_taxes": [],
}


def _addressee(customer: Json) -> Json:
    return {
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_tax_exempt": customer["tax_exempt"],
    }


def sums(invoice_id: str, data: list[Json], balance: int) -> Json:
    """What an invoice of these lines comes to, and the lines."""
    total = sum(one["amount"] for one in data)
    due = max(total + balance, 0)
    return {
        "amount_due": due,
        "amount_remaining": due,
        "lines": listed(data, f"/v1/invoices/{invoice_id}/lines"),
        "starting_balance": balance,
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
    }


def blank(
    world: "StandIn",
    customer: Json,
    reason: str,
    *,
    object_id: str | None = None,
    data: Sequence[Json] = (),
    **fields: Any,
) -> Json:
    """A draft for a customer; the caller keeps it."""
    object_id, now = object_id or ids.new_id("invoice"), world.now()
    begun: Json = {
        **EMPTY,
        **sums(object_id, list(data), customer["balance"]),
        **_addressee(customer),
        "account_country": world.settings["country"],
        "automatic_tax": {"enabled": False},
        "billing_reason": reason,
        "created": now,
        "period_start": now,
        "period_end": now,
    }
    return {**shape("invoice", id=object_id, **{**begun, **fields}), "_specs": []}


def build(
    world: "StandIn",
    subscription: Json,
    specs: list[Json],
    reason: str,
    *,
    object_id: str | None = None,
) -> Json:
    """A draft of these lines; the caller keeps it."""
    object_id = object_id or ids.new_id("invoice")
    customer = world.need("customer", subscription["customer"])
    for spec in specs:
        spec.setdefault("line", ids.new_id("line_item"))
    built = [lines.line(world, subscription, spec, object_id) for spec in specs]
    parent = {"subscription": subscription["id"], "metadata": subscription["metadata"]}
    made = blank(
        world,
        customer,
        reason,
        object_id=object_id,
        data=built,
        automatic_tax={"enabled": subscription["automatic_tax"]["enabled"]},
        collection_method=subscription["collection_method"],
        currency=subscription["currency"],
        default_payment_method=subscription["default_payment_method"],
        parent={"type": "subscription_details", "subscription_details": parent},
        period_start=min((spec["start"] for spec in specs), default=world.now()),
        period_end=max((spec["end"] for spec in specs), default=world.now()),
    )
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
        lines.advance_spec(item, start=item["current_period_start"], end=item["current_period_end"])
        for item in items.of(world, subscription)
        if not lines.metered(item)
    ]
    return world.add(build(world, subscription, specs, "subscription_create")) if specs else None


def of_cycle(world: "StandIn", subscription: Json, due: list[Json]) -> Json:
    """The draft at the turn of the cycle: usage of the period past, licences of the one to come.

    `due` are the items as they were before the turn.
    """
    specs = list(subscription["_pending"])
    for item in due:
        end, recurring = item["current_period_end"], item["price"]["recurring"]
        if lines.metered(item):
            specs += lines.usage_specs(subscription, item, until=end)
        else:
            next_end = later(end, recurring["interval"], recurring["interval_count"], 1)
            specs.append(lines.advance_spec(item, start=end, end=next_end))
    return _drafted(world, subscription, specs, "subscription_cycle")


def final(world: "StandIn", subscription: Json) -> Json | None:
    """The draft that bills what was used until now, when a subscription ends."""
    specs = list(subscription["_pending"])
    for item in items.of(world, subscription):
        until = min(world.now(), item["current_period_end"])
        specs += lines.usage_specs(subscription, item, until=until) if lines.metered(item) else []
    return _drafted(world, subscription, specs, "subscription_cycle") if specs else None


def upcoming(world: "StandIn", subscription: Json, more: Sequence[Json] = ()) -> Json:
    """What the next invoice would be if the period ended now; nothing is kept."""
    specs = list(subscription["_pending"])
    for item in items.of(world, subscription):
        end, recurring = item["current_period_end"], item["price"]["recurring"]
        if lines.metered(item):
            specs += lines.usage_specs(subscription, item, until=min(end, world.now()))
        else:
            until = later(end, recurring["interval"], recurring["interval_count"], 1)
            specs.append(lines.advance_spec(item, start=end, end=until))
    object_id = f"upcoming_{ids.new_id('invoice')}"
    return build(world, subscription, [*specs, *more], "upcoming", object_id=object_id)


# -- what becomes of it


def _recounted(world: "StandIn", invoice: Json) -> Json:
    """A draft with the usage that arrived meanwhile."""
    subscription = world.store.get("subscription", subscription_of(invoice) or "")
    customer = world.need("customer", invoice["customer"])
    counted = invoice["lines"]["data"]
    if subscription:
        counted = [lines.line(world, subscription, s, invoice["id"]) for s in invoice["_specs"]]
    return {**invoice, **sums(invoice["id"], counted, customer["balance"])}


def subscription_of(invoice: Json) -> str | None:
    """The id of the subscription that an invoice is for."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    found = details.get("subscription")
    return str(found) if found else None


def _opened(world: "StandIn", invoice: Json, customer: Json) -> Json:
    """A draft's fields once it is open: the usage counted anew, the amount to charge fixed."""
    counted = credit.apply(world, _recounted(world, invoice))
    wanted = counted["total"] + customer["balance"]
    charged = wanted if wanted >= amounts.minimum(invoice["currency"]) else 0
    now, page = world.now(), f"{world.base_url}/_standin/invoice/{invoice['id']}"
    return {
        **counted,
        "amount_due": charged,
        "amount_remaining": charged,
        "automatically_finalizes_at": None,
        "due_date": _due_date(world, invoice),
        "effective_at": now,
        "ending_balance": wanted - charged,
        "hosted_invoice_url": page,
        "invoice_pdf": f"{page}/pdf",
        "number": f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}",
        "status": "open",
        "status_transitions": {**invoice["status_transitions"], "finalized_at": now},
    }


def _due_date(world: "StandIn", invoice: Json) -> int | None:
    if invoice["collection_method"] != "send_invoice":
        return None
    subscription = world.store.get("subscription", subscription_of(invoice) or "") or {}
    return world.now() + int(subscription.get("days_until_due") or 30) * DAY


def finalize(world: "StandIn", invoice: Json) -> Json:
    """A draft made open: its amount is fixed now, the customer's balance applied.

    What is less than the least charge is not charged: it moves to the balance and the invoice
    counts as paid.
    """
    if invoice["status"] != "draft":
        raise ApiError(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_no_longer_draft",
        )
    customer = world.need("customer", invoice["customer"])
    opened = _opened(world, invoice, customer)
    world.store.put(opened)
    # the number's sequence moves silently, the balance is told of
    sequence = customer["next_invoice_sequence"] + 1
    customer = world.change(customer, next_invoice_sequence=sequence)
    world.change(customer, "customer.updated", balance=opened["ending_balance"])
    if opened["amount_due"]:
        payments.request_payment(world, opened)
    world.events.emit("invoice.finalized", opened)
    if not opened["amount_due"]:
        return payments.settle(world, opened)
    if opened["due_date"]:
        world.events.emit("invoice.sent", opened)
    return world.need("invoice", invoice["id"])


def void(world: "StandIn", invoice: Json) -> Json:
    """An open invoice declared void; its payment is canceled."""
    if invoice["status"] not in ("open", "uncollectible"):
        raise ApiError(
            f"You can only void open or uncollectible invoices: it is {invoice['status']}.",
            code="invoice_not_editable",
        )
    payments.withdraw(world, invoice)
    credit.reinstate(world, invoice)
    transitions = {**invoice["status_transitions"], "voided_at": world.now()}
    voided = world.change(
        invoice,
        status="void",
        status_transitions=transitions,
        next_payment_attempt=None,
        auto_advance=False,
    )
    world.events.emit("invoice.voided", voided)
    return voided


def write_off(world: "StandIn", invoice: Json) -> Json:
    """An open invoice marked uncollectible."""
    if invoice["status"] != "open":
        raise ApiError("You can only mark open invoices as uncollectible.")
    transitions = {**invoice["status_transitions"], "marked_uncollectible_at": world.now()}
    marked = world.change(
        invoice, status="uncollectible", status_transitions=transitions, next_payment_attempt=None
    )
    world.events.emit("invoice.marked_uncollectible", marked)
    return marked


def edit(world: "StandIn", invoice: Json, params: Json) -> Json:
    """What may be changed by hand: metadata, description, footer, automatic advance."""
    fields = merged(invoice, params, ["metadata", "description", "footer", "auto_advance"])
    return world.change(invoice, "invoice.updated", **fields)
