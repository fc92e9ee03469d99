"""What is left of credit grants, and what of it pays for the lines of an invoice.

What is left of a grant is the sum of its transactions, which are never changed.
"""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
GRANT, TRANSACTION = "billing.credit_grant", "billing.credit_balance_transaction"
NEVER = 1 << 62


def summary(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/credit_balance_summary: what is left, currency by currency.

    A filter by type of price leaves out grants for certain prices: they pay for those only.
    """
    customer = world.need("customer", asked.params.get("customer", ""), param="customer")
    grants = _filtered(world, customer["id"], asked.params["filter"])
    currencies = sorted({_currency(grant) for grant in grants})
    return shape(
        "billing.credit_balance_summary",
        balances=[_balances(world, currency, grants) for currency in currencies],
        customer=customer["id"],
        livemode=False,
    )


def list_transactions(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/credit_balance_transactions."""
    equal = equal_to(asked, "credit_grant")
    customer = asked.params.get("customer")
    own = {grant["id"] for grant in world.store.where(GRANT, customer=customer)}
    fits = (lambda one: one["credit_grant"] in own) if customer else None
    return page(world, TRANSACTION, asked, equal=equal, fits=fits)


def retrieve_transaction(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/credit_balance_transactions/{id}."""
    return world.need(TRANSACTION, asked.args[0])


# -- what becomes of a grant


def balance(world: "StandIn", grant: Json) -> int:
    """What is left of a grant, in minor units."""
    signs = {"credit": 1, "debit": -1}
    return sum(
        signs[one["type"]] * one[one["type"]]["amount"]["monetary"]["value"]
        for one in world.store.where(TRANSACTION, credit_grant=grant["id"])
    )


def apply(world: "StandIn", invoice: Json) -> Json:
    """The fields of an invoice that is being finalised, what credit pays taken off: metered lines
    only, the most urgent grants first."""
    data, used = [], []
    for line in invoice["lines"]["data"]:
        paid = _paid_for(world, invoice, line) if _is_metered(world, line) else []
        used += paid
        data.append({**line, "pretax_credit_amounts": [*line["pretax_credit_amounts"], *paid]})
    credit = sum(one["amount"] for one in used)
    return {
        **invoice,
        "lines": {**invoice["lines"], "data": data},
        "total": invoice["total"] - credit,
        "total_excluding_tax": invoice["total_excluding_tax"] - credit,
        "total_pretax_credit_amounts": used,
    }


def reinstate(world: "StandIn", invoice: Json) -> None:
    """The credit that a voided invoice had used is there again."""
    for used in invoice["total_pretax_credit_amounts"]:
        debit = world.need(TRANSACTION, used["credit_balance_transaction"])
        grant = world.need(GRANT, debit["credit_grant"])
        about = debit["debit"]["credits_applied"]
        kind = "credits_application_invoice_voided"
        transact(world, grant, "credit", used["amount"], kind, about={kind: about})


def run_out(world: "StandIn", object_id: str) -> None:
    """The moment of a grant's expiry, unless it was moved meanwhile."""
    grant = world.need(GRANT, object_id)
    if not grant["voided_at"] and (grant["expires_at"] or NEVER) <= world.now():
        take_rest(world, grant, "credits_expired")


def _paid_for(world: "StandIn", invoice: Json, line: Json) -> list[Json]:
    open_amount, paid = line["amount"], []
    for grant in _in_order(world, invoice, line):
        share = min(open_amount, balance(world, grant))
        if share <= 0:
            continue
        about = {"invoice": invoice["id"], "invoice_line_item": line["id"]}
        kind = "credits_applied"
        made = transact(world, grant, "debit", share, kind, about={kind: about})
        paid.append(
            {
                "amount": share,
                "credit_balance_transaction": made["id"],
                "discount": None,
                "type": "credit_balance_transaction",
            }
        )
        open_amount -= share
    return paid


def _in_order(world: "StandIn", invoice: Json, line: Json) -> list[Json]:
    """Grants that may pay for a line: by priority, then what expires first, what was given free,
    and what is older."""
    price = line["pricing"]["price_details"]["price"]
    grants = [
        grant
        for grant in world.store.where(GRANT, customer=invoice["customer"])
        if _is_active(world, grant) and _currency(grant) == invoice["currency"]
        if _covers(grant, price)
    ]
    return sorted(
        grants,
        key=lambda grant: (
            grant["priority"],
            grant["expires_at"] or NEVER,
            grant["category"] != "promotional",
            grant["effective_at"],
            grant["created"],
        ),
    )


def _is_metered(world: "StandIn", line: Json) -> bool:
    details = (line.get("pricing") or {}).get("price_details") or {}
    price = world.store.get("price", details.get("price") or "") or {}
    return bool((price.get("recurring") or {}).get("meter"))


def _covers(grant: Json, price: str) -> bool:
    scope = grant["applicability_config"]["scope"]
    return not scope["prices"] or price in {one["id"] for one in scope["prices"]}


def _is_active(world: "StandIn", grant: Json) -> bool:
    is_in_time = grant["effective_at"] <= world.now() < (grant["expires_at"] or NEVER)
    return is_in_time and not grant["voided_at"]


def _currency(grant: Json) -> str:
    return str(grant["amount"]["monetary"]["currency"])


def take_rest(world: "StandIn", grant: Json, kind: str) -> None:
    if rest := balance(world, grant):
        transact(world, grant, "debit", rest, kind)


def transact(
    world: "StandIn",
    grant: Json,
    side: str,
    value: int,
    kind: str,
    *,
    effective_at: int | None = None,
    about: Json | None = None,
) -> Json:
    money = {"currency": _currency(grant), "value": value}
    details = {"amount": {"type": "monetary", "monetary": money}, "type": kind, **(about or {})}
    made = shape(
        TRANSACTION,
        id=ids.new_id(TRANSACTION),
        created=world.now(),
        credit_grant=grant["id"],
        effective_at=effective_at or world.now(),
        livemode=False,
        type=side,
        **{side: details},
    )
    return world.add(made, f"{TRANSACTION}.created")


def _filtered(world: "StandIn", customer: str, wanted: Json) -> list[Json]:
    grants = world.store.where(GRANT, customer=customer)
    if wanted["type"] == "credit_grant":
        return [world.need(GRANT, wanted.get("credit_grant", ""), param="filter[credit_grant]")]
    if wanted["type"] != "applicability_scope":
        raise ApiError(f"Invalid filter type: {wanted['type']}.", param="filter[type]")
    prices = [one["id"] for one in wanted.get("applicability_scope", {}).get("prices", [])]
    return [
        grant
        for grant in grants
        if not grant["applicability_config"]["scope"]["prices"]
        or (prices and all(_covers(grant, price) for price in prices))
    ]


def _balances(world: "StandIn", currency: str, grants: list[Json]) -> Json:
    def of(chosen: list[Json]) -> Json:
        value = sum(balance(world, grant) for grant in chosen)
        return {"type": "monetary", "monetary": {"currency": currency, "value": value}}

    own = [grant for grant in grants if _currency(grant) == currency]
    active = [grant for grant in own if _is_active(world, grant)]
    return {"available_balance": of(active), "ledger_balance": of(own)}
