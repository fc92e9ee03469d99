"""What the settings say about keys and secrets, before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.core import checks

from comp_billing import stripe_api
from comp_billing.checks import LIVE_PREFIXES, check_settings
from comp_billing.conf import conf
from comp_billing.models import Customer, Product
from comp_billing.probes.words import about_billing
from comp_core.doctor import Finding, ok, problem, warning

STRIPE = "api.stripe.com"
API_KEYS = ("sk_", "rk_", "pk_")
# A roll needs two; what is older signs for whoever has kept it.
MOST_SECRETS = 2
KEY = 'COMP_BILLING["SECRET_KEY"]'


def keys() -> Iterator[Finding]:
    """Key and secrets are what they should be, and all of one mode."""
    if not stripe_api.is_configured():
        yield ok("This site has no Stripe key: nothing is sent to Stripe, and nothing is billed.")
    yield from _about_keys()


@about_billing
def _about_keys() -> Iterator[Finding]:
    wrong = [*mistakes(), *_secrets(), *_other_mode()]
    yield from wrong
    if not wrong:
        kind = "restricted" if conf.SECRET_KEY.startswith("rk_") else "secret"
        mode = "live" if conf.LIVEMODE else "test"
        yield ok(f"The Stripe key is a {kind} key for {mode} mode, as this site is.")
        numbers = f"{len(conf.WEBHOOK_SECRETS)} for events, {len(conf.THIN_WEBHOOK_SECRETS)} for"
        yield ok(f"Signing secrets in the settings: {numbers} thin events.")
    yield _sdk()


def mistakes() -> Iterator[Finding]:
    """Why the key cannot be right; then Stripe need not be asked."""
    key = conf.SECRET_KEY
    if len(key.replace(",", " ").split()) > 1 or key != key.strip():
        what = "The Stripe key holds a blank, a comma or a line break: is there more than one?"
        yield problem(what, f"Leave one key in {KEY}, without anything around it.")
        return
    for message in _checked("SECRET_KEY"):
        yield problem(str(message.msg), str(message.hint))
    host = urlsplit(conf.API_BASE).hostname
    if key.startswith(LIVE_PREFIXES) and host != STRIPE:
        what = f"A key for live mode is sent to {host}, which is not Stripe."
        yield problem(what, 'Remove COMP_BILLING["API_BASE"], or use a key for test mode.')


def _secrets() -> Iterator[Finding]:
    for name in ("WEBHOOK_SECRETS", "THIN_WEBHOOK_SECRETS"):
        setting, secrets = f'COMP_BILLING["{name}"]', list(getattr(conf, name))
        for message in _checked(name):
            judge = problem if message.level >= checks.ERROR else warning
            yield judge(str(message.msg), str(message.hint))
        if any(str(secret).startswith(API_KEYS) for secret in secrets):
            what = f"There is an API key in {setting}: Stripe signs with no such thing."
            yield problem(what, "Put the endpoint's signing secret there: it starts with whsec_.")
        if len(secrets) > MOST_SECRETS:
            what = f"{setting} has {len(secrets)} signing secrets, more than a roll needs."
            yield warning(what, "Remove those that have been rolled.")


def _checked(key: str) -> list[checks.CheckMessage]:
    """What the system checks have to say about a setting."""
    return [message for message in check_settings(None) if message.obj == f"COMP_BILLING[{key!r}]"]


def _other_mode() -> Iterator[Finding]:
    """Rows at both ends of the mirror: a database that has seen two modes has them mixed."""
    for model in (Customer, Product):
        rows = model.all_objects.filter(as_of__isnull=False)
        modes = rows.values_list("livemode", flat=True)
        ends = {modes.order_by("as_of").first(), modes.order_by("-as_of").first()}
        if (not conf.LIVEMODE) not in ends:
            continue
        theirs, ours = ("test", "live") if conf.LIVEMODE else ("live", "test")
        names = model._meta.verbose_name_plural
        what = f"The mirror has {names} of {theirs} mode, but this site is for {ours} mode."
        yield problem(what, "One database mirrors one mode: use another one, or correct LIVEMODE.")
        return


def _sdk() -> Finding:
    speaks = f"Stripe's SDK {stripe_api.SDK_VERSION} is made for API version"
    if stripe_api.SDK_API_VERSION == stripe_api.API_VERSION:
        return ok(f"{speaks} {stripe_api.API_VERSION}, as this library is.")
    what = f"{speaks} {stripe_api.SDK_API_VERSION}, this library for {stripe_api.API_VERSION}."
    return warning(what, "Requests name the version, so the site works; prefer a matching release.")
