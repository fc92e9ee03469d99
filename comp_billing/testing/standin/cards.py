"""Payment methods (cards only), and the set-up intents that save them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError, card_error, missing
from comp_billing.testing.standin.fields import given, merged
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


@dataclass(frozen=True)
class TestCard:
    """One of Stripe's test cards: what the bank says when it is saved and when it is charged."""

    __test__ = False  # no test case, whatever its name

    last4: str
    brand: str = "visa"
    # the decline code of an attempt to save it, or of a charge; None: it succeeds
    declines_saving: str | None = None
    declines_charge: str | None = None
    # whether the holder must confirm a charge made without them
    authenticates: bool = False


# Source: docs.stripe.com/testing
TEST_CARDS = {
    "pm_card_visa": TestCard("4242"),
    "pm_card_mastercard": TestCard("4444", "mastercard"),
    "pm_card_amex": TestCard("8431", "amex"),
    "pm_card_chargeDeclined": TestCard("0002", declines_saving="generic_decline"),
    "pm_card_visa_chargeDeclined": TestCard("0002", declines_saving="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": TestCard(
        "9995", declines_saving="insufficient_funds"
    ),
    "pm_card_chargeDeclinedExpiredCard": TestCard("0069", declines_saving="expired_card"),
    "pm_card_chargeCustomerFail": TestCard("0341", declines_charge="generic_decline"),
    "pm_card_authenticationRequired": TestCard("3184", authenticates=True),
    "pm_card_threeDSecure2Required": TestCard("3220", authenticates=True),
}  # fmt: skip
BY_LAST4 = {card.last4: card for card in TEST_CARDS.values()}


def behaviour(method: Json) -> TestCard:
    """What the bank will say about a payment method."""
    return BY_LAST4.get(method["card"]["last4"], TestCard("4242"))


def declined(code: str) -> ApiError:
    """The bank's refusal with its decline code."""
    own = {
        "insufficient_funds": "Your card has insufficient funds.",
        "expired_card": "Your card has expired.",
    }
    text = own.get(code, "Your card was declined.")
    outer = code if code == "expired_card" else "card_declined"
    return card_error(text, code=outer, decline_code=code)


def build(world: "StandIn", card: TestCard, **fields: Any) -> Json:
    """A new payment method, kept."""
    details: Json = {
        "brand": card.brand,
        "checks": {"cvc_check": "pass"},
        "country": "US",
        "display_brand": card.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"standin{card.last4}{card.brand}"[:16],
        "funding": "credit",
        "last4": card.last4,
        "networks": {"available": [card.brand]},
        "three_d_secure_usage": {"supported": True},
    }
    made = shape(
        "payment_method",
        id=ids.new_id("payment_method"),
        billing_details={},
        card=details,
        created=world.now(),
        livemode=False,
        type="card",
        allow_redisplay="unspecified",
        customer=None,
        metadata={},
        **fields,
    )
    return world.add(made)


def resolve(world: "StandIn", object_id: str, *, param: str) -> Json:
    """A payment method by id; a test id makes a new one of that card."""
    if object_id in TEST_CARDS:
        return build(world, TEST_CARDS[object_id])
    return world.need("payment_method", object_id, param=param)


def attached(world: "StandIn", object_id: str, customer: str) -> Json | None:
    """The customer's own payment method of this id; for a test id the latest of that card."""
    own = world.store.where("payment_method", customer=customer)
    if object_id in TEST_CARDS:
        wanted = TEST_CARDS[object_id].last4
        return next((one for one in own[::-1] if one["card"]["last4"] == wanted), None)
    return next((one for one in own if one["id"] == object_id), None)


def attach_to(
    world: "StandIn", object_id: str, customer: str, *, param: str = "payment_method"
) -> Json:
    """A payment method saved to a customer; raises the bank's refusal."""
    method = resolve(world, object_id, param=param)
    if method["customer"] == customer:
        return method
    if method["customer"]:
        raise ApiError(
            "The payment method you provided has already been attached to a customer.",
            code="payment_method_already_attached",
        )
    if code := behaviour(method).declines_saving:
        raise declined(code)
    world.store.put({**method, "customer": customer})
    kept = world.need("payment_method", method["id"])
    world.events.emit("payment_method.attached", kept)
    return kept


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/payment_methods: a card by one of Stripe's test tokens (`tok_visa`)."""
    token = (asked.params.get("card") or {}).get("token", "")
    card = TEST_CARDS.get(token.replace("tok_", "pm_card_", 1))
    if asked.params.get("type") != "card" or card is None:
        raise ApiError("The stand-in takes type=card with a test token only.", param="card[token]")
    return build(world, card)


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/payment_methods/{id}."""
    return resolve(world, asked.args[0], param="id")


def update(world: "StandIn", asked: Request) -> Json:
    """POST /v1/payment_methods/{id}: metadata and billing details."""
    method = world.need("payment_method", asked.args[0])
    fields = merged(method, asked.params, ["metadata", "billing_details", "allow_redisplay"])
    return world.change(method, "payment_method.updated", **fields)


def attach(world: "StandIn", asked: Request) -> Json:
    """POST /v1/payment_methods/{id}/attach."""
    customer = asked.params.get("customer", "")
    world.need("customer", customer, param="customer")
    return attach_to(world, asked.args[0], customer, param="id")


def detach(world: "StandIn", asked: Request) -> Json:
    """POST /v1/payment_methods/{id}/detach: no longer anybody's default either."""
    method = world.need("payment_method", asked.args[0])
    if not method["customer"]:
        raise ApiError("The payment method you provided is not attached to a customer.")
    customer = world.need("customer", method["customer"])
    if customer["invoice_settings"]["default_payment_method"] == method["id"]:
        settings = {**customer["invoice_settings"], "default_payment_method": None}
        world.change(customer, "customer.updated", invoice_settings=settings)
    return world.change(method, "payment_method.detached", customer=None)


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/payment_methods, and of one customer."""
    customer = asked.args[0] if asked.args else asked.params.get("customer")
    if customer:
        world.need("customer", customer, param="customer")
    equal = {"customer": customer} if customer else {}
    equal |= {"type": asked.params["type"]} if "type" in asked.params else {}
    return page(world, "payment_method", asked, equal=equal)


def retrieve_own(world: "StandIn", asked: Request) -> Json:
    """GET /v1/customers/{customer}/payment_methods/{id}."""
    method = attached(world, asked.args[1], asked.args[0])
    if method is None:
        raise missing("payment_method", asked.args[1])
    return method


# -- set-up intents


def create_setup(world: "StandIn", asked: Request) -> Json:
    """POST /v1/setup_intents, confirmed at once if `confirm` is set."""
    params = asked.params
    if customer := params.get("customer"):
        world.need("customer", customer, param="customer")
    intent = build_setup(
        world,
        customer,
        metadata=params.get("metadata") or {},
        **given(params, ["description", "usage"]),
    )
    if method := params.get("payment_method"):
        method = resolve(world, method, param="payment_method")["id"]
        intent = world.change(intent, payment_method=method, status="requires_confirmation")
    return confirm_setup_with(world, intent) if params.get("confirm") else intent


def build_setup(world: "StandIn", customer: str | None, **fields: Any) -> Json:
    """A new set-up intent, kept."""
    object_id = ids.new_id("setup_intent")
    fields = {"usage": "off_session", "metadata": {}, **fields}
    made = shape(
        "setup_intent",
        id=object_id,
        client_secret=f"{object_id}_secret_{ids.letters(24)}",
        created=world.now(),
        customer=customer,
        livemode=False,
        payment_method_types=["card"],
        status="requires_payment_method",
        **fields,
    )
    return world.add(made, "setup_intent.created")


def confirm_setup_with(world: "StandIn", intent: Json, *, confirmed: bool = False) -> Json:
    """The card saved; `confirmed` says that the holder has authenticated."""
    method = world.need("payment_method", intent["payment_method"] or "", param="payment_method")
    card = behaviour(method)
    if card.declines_saving:
        problem = declined(card.declines_saving)
        failed = world.change(
            intent,
            status="requires_payment_method",
            payment_method=None,
            last_setup_error=problem.error,
        )
        world.events.emit("setup_intent.setup_failed", failed)
        raise problem
    if card.authenticates and not confirmed:
        step = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
        waiting = world.change(intent, status="requires_action", next_action=step)
        world.events.emit("setup_intent.requires_action", waiting)
        return waiting
    if intent["customer"]:
        attach_to(world, method["id"], intent["customer"])
    done = world.change(intent, status="succeeded", next_action=None, last_setup_error=None)
    world.events.emit("setup_intent.succeeded", done)
    return done


def retrieve_setup(world: "StandIn", asked: Request) -> Json:
    """GET /v1/setup_intents/{id}."""
    return world.need("setup_intent", asked.args[0])


def confirm_setup(world: "StandIn", asked: Request) -> Json:
    """POST /v1/setup_intents/{id}/confirm."""
    intent = world.need("setup_intent", asked.args[0])
    if method := asked.params.get("payment_method"):
        method = resolve(world, method, param="payment_method")["id"]
        intent = world.change(intent, payment_method=method)
    return confirm_setup_with(world, intent)


def cancel_setup(world: "StandIn", asked: Request) -> Json:
    """POST /v1/setup_intents/{id}/cancel."""
    intent = world.need("setup_intent", asked.args[0])
    return world.change(intent, "setup_intent.canceled", status="canceled")


def list_setups(world: "StandIn", asked: Request) -> Json:
    """GET /v1/setup_intents."""
    return page(world, "setup_intent", asked, equal=equal_to(asked, "customer", "payment_method"))
