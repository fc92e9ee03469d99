"""The first wish to run something, on sites that subscribe, or make customers, no earlier."""

from __future__ import annotations

from comp_billing import customers, intents, subscriptions
from comp_billing.catalog import is_offered
from comp_billing.confirmation import get_admission, is_admitted
from comp_billing.models import FirstRun
from comp_billing.subscriptions.items import is_at_sign_up
from comp_core.crashpoints import step
from comp_users.models import Profile, Project


def note(payer: Profile, project: Project) -> None:
    """Write the wish down and ask for what the payer lacks to be billed for it: after the submit
    that was refused for want of it has been rolled back, so that this stays.

    Joins the caller's transaction, if there is one. Nothing on a site that waits for no first run.
    """
    waits = not is_at_sign_up() or get_admission().waits_for_first_run
    is_there = payer.is_active and payer.closed_at is None
    if not (waits and is_there and is_offered(project) and intents.can_intend()):
        return
    with step("first_run"):
        FirstRun.objects.bulk_create(
            [FirstRun(profile=payer, project=project)], ignore_conflicts=True
        )
        customer = customers.customer_of(payer.user_id)
        if customer is not None:
            subscriptions.plan(customer.pk)
        elif is_admitted(payer):
            customers.intend_customer(payer)
