"""Submitting: terms frozen, once only, refused with words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test.utils import override_settings
from django_tasks_db.models import DBTaskResult

import comp_core
from comp_core.exceptions import InputsNotValid, RunRefused
from comp_core.lifecycle import submit
from comp_core.metering import NullMeter
from comp_core.models import Run
from comp_users.models import Project
from tests.core.builders import make_inputs, make_profile, make_run, statements

pytestmark = pytest.mark.django_db(transaction=True)


class Refusing(NullMeter):
    """A meter that says no."""

    def authorize(self, run: Run) -> None:
        raise RunRefused("Your billing account is being set up.")


def test_terms_are_frozen() -> None:
    """Invariant 11: a run keeps the rate, payer and versions of the moment of its submission."""
    sponsor, inputs = make_profile(), make_inputs(number=2)
    Project.objects.filter(slug="doubling").update(upstream_version="1.0", sponsor=sponsor)
    run = submit(inputs, title="Mine")
    Project.objects.filter(slug="doubling").update(server_cost=99, sponsor=None)
    stored = Run.objects.get(pk=run.pk)
    assert (
        stored.server_cost,
        stored.payer,
        stored.owner,
        stored.upstream_version,
        stored.comp_version,
        stored.currency,
        stored.title,
        stored.status,
    ) == (
        Decimal(36),
        sponsor,
        inputs.owner,
        "1.0",
        comp_core.__version__,
        "usd",
        "Mine",
        "queued",
    )


def test_the_ticket_leaves_on_commit() -> None:
    """A submitted run has one ticket in its queue."""
    make_run()
    assert list(DBTaskResult.objects.values_list("queue_name", "task_path")) == [
        ("default", "comp_core.tasks.execute_next")
    ]


def test_same_key_same_run() -> None:
    """Submitting twice with one key answers the first run."""
    owner = make_profile()
    first = submit(make_inputs(owner=owner), idempotency_key="k")
    again = submit(make_inputs(owner=owner), idempotency_key="k")
    assert (again.pk, Run.objects.count()) == (first.pk, 1)


def test_same_inputs_same_run() -> None:
    """Submitting the same inputs twice answers the first run."""
    inputs = make_inputs()
    assert submit(inputs).pk == submit(inputs).pk


def test_keys_belong_to_their_profile() -> None:
    """Two people may use the same key."""
    runs = {submit(make_inputs(), idempotency_key="k").pk for _ in range(2)}
    assert len(runs) == 2


@pytest.mark.parametrize("status", ["pending", "invalid"])
def test_only_valid_inputs(status: str) -> None:
    """Inputs that have not passed their check are not submitted."""
    with pytest.raises(InputsNotValid):
        submit(make_inputs(status=status))


def test_a_refusal_leaves_nothing() -> None:
    """Invariant 2: a run that the meter refuses has no row and no ticket."""
    inputs = make_inputs()
    with (
        override_settings(COMP_CORE={"METER": f"{__name__}.Refusing"}),
        pytest.raises(RunRefused, match="being set up"),
    ):
        submit(inputs)
    assert (Run.objects.count(), DBTaskResult.objects.count()) == (0, 0)


def test_not_everybody_may_run() -> None:
    """A profile without public access is refused with words."""
    with pytest.raises(RunRefused, match="may not run"):
        submit(make_inputs(owner=make_profile(public_access=False)))


def test_visibility_follows_the_profile() -> None:
    """Without a wish, a run is as public as its owner's profile says."""
    owner = make_profile(runs_public=True)
    wishes = [submit(make_inputs(owner=owner), is_public=wish).is_public for wish in (None, False)]
    assert wishes == [True, False]


def test_statements() -> None:
    """Submit costs at most six statements, the ticket's included."""
    inputs = make_inputs()
    with override_settings(COMP_CORE={}), statements() as sql:
        submit(inputs)
    assert len(sql) <= 6


def test_fair_share() -> None:
    """One user's hundred waiting runs delay another's first by one run's length."""
    many, few = make_profile("many"), make_profile("few")
    queue = [submit(make_inputs(owner=many)) for _ in range(5)]
    queue.append(submit(make_inputs(owner=few)))
    order = Run.objects.order_by("-priority", "start_tag", "queued_at")
    assert [run.owner.user.username for run in order] == ["many", "few", *["many"] * 4]
