"""What Stripe itself says: whether it takes the key, tells the time, and delivers its events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comp_billing import mirror, stripe_api
from comp_billing.conf import conf
from comp_billing.endpoints import DESTINATIONS, SHOW_ADDRESS, WEBHOOKS
from comp_billing.exceptions import StripeError
from comp_billing.models import Event, MirroredAccount
from comp_billing.probes import deliveries, endpoints, keys
from comp_billing.probes.asking import Visit, unreachable
from comp_billing.probes.words import about_billing, some
from comp_core.doctor import Finding, ok, problem, warning

# For each answer: the doctor is asked every few minutes, also by machines that wait for it.
PATIENCE_SECONDS = 5.0
SKEW_SECONDS = 30
RECENT = 500
ACCOUNT = "/v1/account"


@about_billing
def stripe() -> Iterator[Finding]:
    """Everything that takes a call; one finding when there is no answer."""
    if any(keys.mistakes()):
        yield problem("Stripe was not asked: the key cannot be right.", "Correct it first.")
        return
    found: list[Finding] = []
    with stripe_api.answered_within(PATIENCE_SECONDS):
        try:
            found += _examined(Visit())
        except StripeError as exc:
            found.append(unreachable(exc))
    yield from found


def _examined(visit: Visit) -> Iterator[Finding]:
    """Four calls; more for a restricted key, and where something is odd."""
    recent = visit.entries(deliveries.PATH, limit=stripe_api.PAGE_SIZE)
    undelivered = visit.entries(
        deliveries.PATH, limit=stripe_api.PAGE_SIZE, delivery_success="false"
    )
    hooks = visit.entries(WEBHOOKS, limit=stripe_api.PAGE_SIZE)
    thin = visit.entries(DESTINATIONS, **SHOW_ADDRESS)
    if conf.SECRET_KEY.startswith("rk_"):
        _try_lists(visit)
    yield from _permissions(visit)
    yield from _clock(visit.skew)
    yield from endpoints.webhooks(hooks)
    yield from endpoints.destinations(thin)
    yield from deliveries.missing(recent, undelivered, hooks, now=visit.now)
    yield from _account(visit, recent)


def _try_lists(visit: Visit) -> None:
    """A restricted key may lack what the worker needs: every list is asked for one object."""
    for model in mirror.KINDS.values():
        if model.collection and model.is_listed:
            visit.entries(f"/v1/{model.collection}", limit=1)


def _permissions(visit: Visit) -> Iterator[Finding]:
    if visit.forbidden:
        names = sorted(
            f"{path} ({name})" if name else path for path, name in visit.forbidden.items()
        )
        what = f"The restricted key may not read {some(names, most=len(names))}."
        todo = "Give it these permissions in Stripe's dashboard, under API keys."
        yield problem(what, todo)
    for path, code in visit.refused.items():
        yield warning(f"Stripe refused to show {path}: {code}.", "Try it with Stripe's own CLI.")
    if not visit.forbidden and not visit.refused:
        yield ok("Stripe answers, and takes the key for all that was asked.")


def _clock(skew: float | None) -> Iterator[Finding]:
    """Signatures and usage carry times: Stripe, and this site, refuse what is far off."""
    if skew is None:
        return
    way = "behind" if skew > 0 else "ahead of"
    what = f"This machine's clock is {abs(skew):.0f} seconds {way} Stripe's"
    todo = "Have it set by a time server."
    if abs(skew) > conf.WEBHOOK_TOLERANCE_SECONDS:
        yield problem(f"{what}: webhooks are refused for being too old or too early.", todo)
    elif abs(skew) > SKEW_SECONDS:
        limit = conf.WEBHOOK_TOLERANCE_SECONDS
        yield warning(f"{what}; from {limit} seconds on, webhooks are refused.", todo)
    else:
        yield ok("The clocks of this machine and of Stripe agree.")


def _account(visit: Visit, recent: list[dict[str, Any]] | None) -> Iterator[Finding]:
    """Key and events belong to one account."""
    newest = Event.objects.order_by("-created").values("pk", "created", "account", "is_thin")
    rows = list(newest[:RECENT])
    foreign = sorted({row["account"] for row in rows if row["account"]})
    mirrored = MirroredAccount.objects.first()
    own = _own_account(visit) if foreign or mirrored else ""
    if foreign:
        yield _foreign(foreign, own=own)
    if mirrored and (what := _unlike(mirrored, own)):
        todo = 'Correct COMP_BILLING["SECRET_KEY"], or use comp_sync_stripe --accept-account.'
        yield problem(f"{what} Nothing is read, fetched or sent.", todo)
        return
    ours = [row for row in rows if not row["account"] and not row["is_thin"]]
    if not ours or recent is None or visit.now - ours[0]["created"].timestamp() > deliveries.KEPT:
        return
    here = {row["pk"] for row in ours}
    if here & {str(event.get("id")) for event in recent}:
        return
    path = f"{deliveries.PATH}/{ours[0]['pk']}"
    if visit.read(path) is None and visit.refused.get(path) == "resource_missing":
        what = "Stripe does not know the newest event of this site: the key is another account's."
        yield problem(
            what, "Use a key, and an endpoint, of the account that this database mirrors."
        )


def _unlike(mirrored: MirroredAccount, own: str) -> str:
    """In what the key differs from what is mirrored; empty: in nothing that it tells."""
    if own and own != mirrored.stripe_id:
        return f"The key is of the account {own}, but {mirrored} is mirrored here."
    if mirrored.livemode != conf.LIVEMODE:
        modes = {True: "live", False: "test"}
        was, now = modes[mirrored.livemode], modes[conf.LIVEMODE]
        return f"The site is in {now} mode, but {was} mode is mirrored here."
    return ""


def _own_account(visit: Visit) -> str:
    """Empty when the key may not ask."""
    try:
        found = visit.read(ACCOUNT)
    except StripeError:
        return ""
    return str((found or {}).get("id", ""))


def _foreign(accounts: list[str], *, own: str) -> Finding:
    if own in accounts:
        what = f"Events arrive that name this key's own account, {own}: they are only stored."
        return problem(what, "Have them sent by an endpoint of that account itself.")
    what = f"Events of other accounts arrive and are only stored: {some(accounts)}."
    return warning(what, "Take the events of connected accounts off this site's endpoint.")
