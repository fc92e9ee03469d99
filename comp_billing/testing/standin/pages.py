"""Imitations of Stripe's hosted pages: Checkout, customer portal, invoice; plain HTML forms."""

from html import escape
from typing import Any
from urllib.parse import parse_qs

from comp_billing.testing.standin import cards, payments, sessions
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.world import Reply, StandIn

Json = dict[str, Any]
CHOICES = {
    "succeeds": ("pm_card_visa", "Save a card that succeeds"),
    "declined": ("pm_card_chargeDeclined", "Try a card that is declined"),
    "authenticate": ("pm_card_authenticationRequired", "Use a card that needs authentication"),
    "fails_later": ("pm_card_chargeCustomerFail", "Save a card that fails when it is charged"),
}
KINDS = {"checkout": "checkout.session", "portal": "billing_portal.session", "invoice": "invoice"}
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}}
button{{display:block;width:100%;margin:.5rem 0;padding:.7rem;font:inherit}}
[role=alert]{{border-left:4px solid #b00;padding-left:1rem}}</style></head>
<body><p><strong>Stand-in for Stripe, test mode.</strong> No money moves here.</p>
<h1>{title}</h1>{body}</body></html>"""


def is_page(path: str) -> bool:
    """Whether a path under `/_standin/` is one of the pages."""
    return path.partition("/")[0] in KINDS


def _html(title: str, body: str, *, status: int = 200) -> Reply:
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return Reply(status, PAGE.format(title=escape(title), body=body), headers)


def _redirect(url: str) -> Reply:
    return Reply(303, "", {"Location": url, "Content-Type": "text/html"})


def _buttons(choices: dict[str, str]) -> str:
    buttons = "".join(
        f'<button name="choice" value="{escape(value)}">{escape(text)}</button>'
        for value, text in choices.items()
    )
    return f'<form method="post">{buttons}</form>'


def _card_form(problem: str = "") -> str:
    alert = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    return alert + _buttons({name: text for name, (_, text) in CHOICES.items()})


def _link(url: str | None, text: str) -> str:
    return f'<p><a href="{escape(url)}">{escape(text)}</a></p>' if url else ""


def answer(world: StandIn, verb: str, path: str, body: bytes) -> Reply:
    """One page shown, or its form taken."""
    kind, _, object_id = path.partition("?")[0].partition("/")
    form = parse_qs(body.decode("utf-8", "replace"))
    choice = form.get("choice", [""])[0] if verb == "POST" else ""
    with world.lock, world.store.transaction():
        found = world.find(KINDS[kind], object_id)
        if found is None:
            return _html(
                "Not found", "<p>There is no such page, or it has expired.</p>", status=404
            )
        reply = ANSWERS[kind](world, found, choice)
    world.deliveries.wake()
    return reply


def _saved(world: StandIn, choice: str) -> str:
    """The test card behind a button, or an empty string for a wrong one."""
    return CHOICES[choice][0] if choice in CHOICES else ""


# -- Checkout


def _checkout(world: StandIn, session: Json, choice: str) -> Reply:
    title = "Save a card"
    if session["status"] != "open":
        return _html(title, "<p>This session is over.</p>", status=410)
    back = _link(session["cancel_url"], "Back without saving")
    confirmed = choice == "confirmed"
    card = CHOICES["authenticate"][0] if confirmed else _saved(world, choice)
    if not card:
        return _html(title, _card_form() + back)
    try:
        done = sessions.complete_checkout(world, session, card, confirmed=confirmed)
    except ApiError as problem:
        return _html(title, _card_form(str(problem)) + back, status=402)
    if done["status"] == "open":
        return _html("Your bank asks", _authenticate() + back)
    return _redirect(done["success_url"].replace("{CHECKOUT_SESSION_ID}", done["id"]))


def _authenticate() -> str:
    return "<p>Is it you?</p>" + _buttons({"confirmed": "Yes, confirm", "declined": "No, refuse"})


# -- the customer portal


def _portal(world: StandIn, session: Json, choice: str) -> Reply:
    back = _link(session["return_url"], "Return to the site")
    customer = world.need("customer", session["customer"])
    if choice == "confirmed":
        choice, confirmed = "authenticate", True
    else:
        confirmed = False
    if not (card := _saved(world, choice)):
        return _html("Your billing", _overview(world, customer) + _card_form() + back)
    try:
        method = _save_default(world, customer, card, confirmed=confirmed)
    except ApiError as problem:
        return _html("Your billing", _card_form(str(problem)) + back, status=402)
    if method is None:
        return _html("Your bank asks", _authenticate() + back)
    after = ((session["flow"] or {}).get("after_completion") or {}).get("redirect") or {}
    return _redirect(after.get("return_url") or session["return_url"] or session["url"])


def _save_default(world: StandIn, customer: Json, card: str, *, confirmed: bool) -> str | None:
    """A card saved and made the default, as the portal does; None if the bank asks first."""
    method = cards.resolve(world, card, param="payment_method")
    if cards.behaviour(method).authenticates and not confirmed:
        return None
    cards.attach_to(world, method["id"], customer["id"])
    settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
    world.change(customer, "customer.updated", invoice_settings=settings)
    return str(method["id"])


def _overview(world: StandIn, customer: Json) -> str:
    default = customer["invoice_settings"]["default_payment_method"]
    method = cards.attached(world, default, customer["id"]) if default else None
    card = f"Your card ends in {method['card']['last4']}." if method else "You have no card yet."
    rows = "".join(
        f"<li>{escape(invoice['number'] or 'draft')}: {invoice['total']} "
        f"{escape(invoice['currency'].upper())} (minor units), {escape(invoice['status'])}</li>"
        for invoice in world.store.where("invoice", customer=customer["id"])
    )
    return f"<p>{card}</p><h2>Invoices</h2><ul>{rows or '<li>None yet.</li>'}</ul>"


# -- the hosted invoice


def _invoice(world: StandIn, invoice: Json, choice: str) -> Reply:
    title = f"Invoice {invoice['number'] or 'draft'}"
    if choice and invoice["status"] == "open" and (card := _saved(world, choice)):
        try:
            method = cards.attach_to(world, card, invoice["customer"])
            invoice, problem = payments.attempt(world, invoice, method=method["id"], present=True)
        except ApiError as refusal:
            problem = refusal
        if problem:
            return _html(title, _amounts(invoice) + _card_form(str(problem)), status=402)
    form = _card_form() if invoice["status"] == "open" else ""
    return _html(title, _amounts(invoice) + form)


def _amounts(invoice: Json) -> str:
    lines = "".join(
        f"<li>{escape(line['description'])}: {line['amount']}</li>"
        for line in invoice["lines"]["data"]
    )
    return (
        f"<p>Status: {escape(invoice['status'])}. Due: {invoice['amount_remaining']} "
        f"{escape(invoice['currency'].upper())} (minor units).</p><ul>{lines}</ul>"
    )


ANSWERS = {"checkout": _checkout, "portal": _portal, "invoice": _invoice}
