"""The steps of the catalogue as intents: by facts, by the worker and by the command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from comp_billing import intents, stripe_api
from comp_billing.catalog.steps import Step, steps
from comp_billing.models import Intent, IntentState
from comp_core.crashpoints import step
from comp_users.models import Project


def plan_project(project: Project) -> list[Intent]:
    """Write the project's steps down as intents; nothing for a site without Stripe."""
    if not stripe_api.is_configured():
        return []
    with step("plan_project"):
        return [write_down(step) for step in steps(project)]


def write_down(step: Step) -> Intent:
    """A step as an intent, with the step's parameters unless it is on its way already."""
    intent = intents.intend(step.kind, step.subject, step.params)
    if intent.params == step.params:
        return intent
    if intent.state == IntentState.FAILED:
        # What was refused has been corrected.
        return intents.renew(intent, step.params)
    # A change that nobody has sent yet: the newer one takes its place.
    Intent.objects.filter(pk=intent.pk, first_sent_at=None).update(params=step.params)
    return intent


def on_project_saved(instance: Project, raw: bool = False, **kwargs: Any) -> None:
    """Receiver of the project's ``post_save``, inside the transaction that publishes it."""
    if not raw and intents.can_intend():
        plan_project(instance)


def plan_all() -> None:
    """For the maintenance loop: whatever projects still lack at Stripe."""
    if stripe_api.is_configured():
        for project in Project.objects.public():
            plan_project(project)


def set_up_catalog(projects: Iterable[Project] | None = None) -> list[Intent]:
    """Bring Stripe up to date with the public projects now; answers the intents it took.

    Makes calls: for commands and the worker, never for a page. Raises a StripeError when Stripe
    cannot be reached; what was done stays done. A refused intent is among those answered.
    """
    chosen = list(Project.objects.public() if projects is None else projects)
    tried: list[int] = []
    # Product and meter, then the price on both: each round makes the next one possible.
    for _round in range(3):
        planned = [intent for project in chosen for intent in plan_project(project)]
        for intent in planned:
            if intent.pk not in tried:
                tried.append(intent.pk)
                intents.carry_out_now(intent)
    return list(Intent.objects.filter(pk__in=tried).order_by("pk"))
