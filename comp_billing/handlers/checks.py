"""System checks of handlers: names that Stripe does not use, and nobody to write to."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core import checks

from comp_billing import stripe_api
from comp_billing.handlers.registry import Registration, name_of, registrations


def check_handlers(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Handlers of events that the installed SDK has never heard of: of a slip, usually."""
    known = stripe_api.event_types()
    unheard = [one for one in registrations() if not any(map(one.matches, known))]
    return [_unheard(one, known) for one in unheard if known]


def _unheard(registration: Registration, known: frozenset[str]) -> checks.CheckMessage:
    looked_for = registration.name.removesuffix(".*")
    like = get_close_matches(looked_for, sorted(known), n=1, cutoff=0.8)
    guess = f"Perhaps {like[0]} is meant. " if like else ""
    return checks.Warning(
        f"The handler is for {registration.name}, which Stripe's SDK does not know.",
        hint=f"{guess}If Stripe has it since, silence this with SILENCED_SYSTEM_CHECKS, or install "
        "a newer SDK.",
        obj=name_of(registration.handler),
        id="comp_billing.W010",
    )


def check_operators(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """For ``check --deploy``: what needs a person has to reach one."""
    if settings.MANAGERS or not stripe_api.is_configured():
        return []
    return [
        checks.Warning(
            "Nobody is told by e-mail of disputes, rejected usage and unfinished invoices.",
            hint="Put the addresses of those who look after payments into MANAGERS.",
            obj="MANAGERS",
            id="comp_billing.W011",
        )
    ]
