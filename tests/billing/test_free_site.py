"""A site without a key is free; switched on later it bills what is run from then on."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from comp_billing.models import Intent, Reservation, UsageRecord
from comp_core import lifecycle
from comp_core.lifecycle import Outcome
from comp_core.maintenance import run_all_once
from comp_core.metering import get_meter
from comp_core.models import Run
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_core.status import RunStatus
from comp_users.models import Profile
from tests.billing.builders import USD_PER_SECOND, Site
from tests.core.builders import make_inputs


@pytest.fixture
def free(site: Site) -> Site:
    """A site without a key, with a public model at a cent a second."""
    site.configure(SECRET_KEY="")
    project = project_for(get_spec("doubling"))
    project.is_public, project.server_cost = True, USD_PER_SECOND
    project.save()
    return site


def submitted(owner: Profile) -> Run:
    """A run that waits."""
    return lifecycle.submit(make_inputs("doubling", owner))


def finished(run: Run) -> Run:
    """The run after two and a half seconds."""
    claimed = lifecycle.claim(run.queue, worker_id="tests")
    assert claimed is not None
    assert claimed.lease_token is not None
    outcome = Outcome(status=RunStatus.SUCCEEDED, seconds=Decimal("2.5"))
    lifecycle.finish(claimed.pk, claimed.lease_token, outcome)
    return Run.objects.get(pk=run.pk)


def switched_on(site: Site) -> str:
    """A key, the one command, and some rounds of the worker; what the command says."""
    site.configure(SECRET_KEY="sk_test_new")
    told = StringIO()
    call_command("comp_setup_stripe", stdout=told)
    for _round in range(4):
        run_all_once()
    return told.getvalue()


def test_costs_are_shown_and_nothing_is_written_for_stripe(free: Site) -> None:
    """A receipt, but neither intent nor usage nor reservation, and no call."""
    run = finished(submitted(free.user().profile))

    receipt = get_meter().receipt(run)
    counts = [model._default_manager.count() for model in (Intent, UsageRecord, Reservation)]
    assert (receipt.cost if receipt else None, counts, free.standin.calls.total()) == (
        Decimal("0.025"),
        [0, 0, 0],
        0,
    )


def test_one_command_switches_billing_on(free: Site) -> None:
    """It makes the catalogue; users from before become customers with an item each."""
    free.user("ada")
    free.user("bob")

    told = switched_on(free)

    assert "2 users will be customers" in told
    counts = [len(free.objects(kind)) for kind in ("customer", "subscription_item", "price")]
    assert counts == [2, 2, 1]


def test_nothing_is_billed_retroactively(free: Site) -> None:
    """Neither runs made before nor those under way; the next one is."""
    profile: Profile = free.user().profile
    before = finished(submitted(profile))
    under_way = submitted(profile)
    switched_on(free)
    finished(under_way)

    after = finished(submitted(profile))
    run_all_once()

    assert list(UsageRecord.objects.values_list("run", "state")) == [(after.pk, "accepted")]
    values = [event["value"] for event in free.standin.ledger()["events"]]
    assert (before.run_cost, values) == (Decimal("0.025"), [25_000])


def test_switched_off_again_it_is_free_again(free: Site) -> None:
    """What was recorded waits; new runs cost nothing."""
    profile: Profile = free.user().profile
    switched_on(free)
    finished(submitted(profile))
    free.configure(SECRET_KEY="")

    finished(submitted(profile))
    run_all_once()

    assert list(UsageRecord.objects.values_list("state")) == [("pending",)]
