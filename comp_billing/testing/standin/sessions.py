"""Sessions of Stripe's hosted pages: Checkout in set-up mode, and the customer portal."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import cards, ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import given, merged
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400


def _needed(params: Json, name: str) -> Any:
    if not params.get(name):
        text = f"Missing required param: {name}."
        raise ApiError(text, code="parameter_missing", param=name)
    return params[name]


# -- Checkout


def create_checkout(world: "StandIn", asked: Request) -> Json:
    """POST /v1/checkout/sessions in mode `setup`; its `url` is a page of the stand-in."""
    params = asked.params
    if params.get("mode") != "setup":
        raise ApiError("The stand-in plays mode=setup only.", param="mode")
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise ApiError("The stand-in plays ui_mode=hosted_page only.", param="ui_mode")
    if not params.get("payment_method_types") and not params.get("currency"):
        _needed(params, "currency")
    _needed(params, "success_url")
    if customer := params.get("customer"):
        world.need("customer", customer, param="customer")
    metadata = (params.get("setup_intent_data") or {}).get("metadata") or {}
    intent = cards.build_setup(world, customer, metadata=metadata)
    object_id = ids.new_id("checkout.session")
    names = ["cancel_url", "client_reference_id", "customer_email", "locale", "metadata"]
    fields = {"metadata": {}, **given(params, [*names, "currency", "success_url"])}
    made = shape(
        "checkout.session",
        id=object_id,
        automatic_tax={"enabled": False},
        created=world.now(),
        custom_fields=[],
        custom_text={},
        customer=customer,
        expires_at=world.now() + DAY,
        livemode=False,
        mode="setup",
        payment_method_types=["card"],
        payment_status="no_payment_required",
        setup_intent=intent["id"],
        shipping_options=[],
        status="open",
        ui_mode="hosted_page",
        url=f"{world.base_url}/_standin/checkout/{object_id}",
        **fields,
    )
    return world.add(made)


def retrieve_checkout(world: "StandIn", asked: Request) -> Json:
    """GET /v1/checkout/sessions/{id}."""
    return world.need("checkout.session", asked.args[0])


def list_checkouts(world: "StandIn", asked: Request) -> Json:
    """GET /v1/checkout/sessions."""
    return page(world, "checkout.session", asked, equal=equal_to(asked, "customer", "status"))


def expire_checkout(world: "StandIn", asked: Request) -> Json:
    """POST /v1/checkout/sessions/{id}/expire."""
    session = world.need("checkout.session", asked.args[0])
    if session["status"] != "open":
        raise ApiError('Only Checkout Sessions with a status in ["open"] can be expired.')
    return world.change(session, "checkout.session.expired", status="expired", url=None)


def complete_checkout(world: "StandIn", session: Json, card: str, *, confirmed: bool) -> Json:
    """The page's form sent with a test card; raises the bank's refusal, and the session stays open.

    Side effects as at Stripe: the card is saved to the customer, not made the default.
    """
    if session["status"] != "open":
        raise ApiError("This session is over.")
    intent = world.need("setup_intent", session["setup_intent"])
    method = cards.resolve(world, card, param="payment_method")
    intent = world.change(intent, payment_method=method["id"])
    intent = cards.confirm_setup_with(world, intent, confirmed=confirmed)
    if intent["status"] != "succeeded":
        return session
    done = world.change(session, status="complete", url=None)
    world.events.emit("checkout.session.completed", done)
    return done


# -- the customer portal

FEATURES: Json = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"enabled": False, "duration": {"type": "fixed"}},
    "subscription_update": {
        "default_allowed_updates": [],
        "enabled": False,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


def _new_configuration(world: "StandIn", params: Json, *, default: bool) -> Json:
    features = {
        name: {**FEATURES[name], **params.get("features", {}).get(name, {})} for name in FEATURES
    }
    now = world.now()
    made = shape(
        "billing_portal.configuration",
        id=ids.new_id("billing_portal.configuration"),
        active=True,
        business_profile=params.get("business_profile") or {},
        created=now,
        default_return_url=params.get("default_return_url"),
        features=features,
        is_default=default,
        livemode=False,
        login_page={"enabled": False},
        metadata=params.get("metadata") or {},
        updated=now,
        name=params.get("name"),
    )
    return world.add(made, "billing_portal.configuration.created")


def create_configuration(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing_portal/configurations."""
    return _new_configuration(world, asked.params, default=False)


def update_configuration(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing_portal/configurations/{id}."""
    found = world.need("billing_portal.configuration", asked.args[0])
    names = ["active", "business_profile", "default_return_url", "metadata"]
    fields = merged(found, asked.params, names)
    changed = merged(found["features"], asked.params.get("features", {}), FEATURES)
    fields |= {"features": {**found["features"], **changed}} if changed else {}
    return world.change(
        found, "billing_portal.configuration.updated", updated=world.now(), **fields
    )


def retrieve_configuration(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing_portal/configurations/{id}."""
    return world.need("billing_portal.configuration", asked.args[0])


def list_configurations(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing_portal/configurations."""
    equal = equal_to(asked, "active", "is_default")
    return page(world, "billing_portal.configuration", asked, equal=equal)


def create_portal(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing_portal/sessions; its `url` is a page of the stand-in."""
    params = asked.params
    customer = _needed(params, "customer")
    world.need("customer", customer, param="customer")
    if configuration := params.get("configuration"):
        world.need("billing_portal.configuration", configuration, param="configuration")
    else:
        defaults = world.store.where("billing_portal.configuration", is_default=True)
        chosen = defaults[0] if defaults else _new_configuration(world, {}, default=True)
        configuration = chosen["id"]
    object_id = ids.new_id("billing_portal.session")
    flow = params.get("flow_data")
    return world.add(
        shape(
            "billing_portal.session",
            id=object_id,
            configuration=configuration,
            created=world.now(),
            customer=customer,
            flow=_flow(flow) if flow else None,
            livemode=False,
            return_url=params.get("return_url"),
            locale=params.get("locale"),
            url=f"{world.base_url}/_standin/portal/{object_id}",
        )
    )


def _flow(data: Json) -> Json:
    after = data.get("after_completion") or {"type": "portal_homepage"}
    return {"type": data["type"], "after_completion": after}
