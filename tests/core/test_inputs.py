"""Inputs: saved, checked in a worker, submitted as wished, frozen by their run."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django_tasks_db.models import DBTaskResult

from comp_core.exceptions import InputsFrozen, RunRefused
from comp_core.inputs import apply_check, copy_inputs, save_inputs
from comp_core.metering import NullMeter
from comp_core.models import Run
from comp_core.runner import CheckResult
from comp_core.tasks import check_inputs
from comp_core.worker import drain
from comp_users.models import Project
from tests.core.builders import make_inputs, make_profile, make_run
from tests.testapp.models import DoublingInputs, ParcelInputs

pytestmark = pytest.mark.django_db(transaction=True)


class Refusing(NullMeter):
    """A meter that says no."""

    def authorize(self, run: Run) -> None:
        raise RunRefused("Your billing account is being set up.")


def doubling(number: float = 2.0, **values: Any) -> DoublingInputs:
    """Unsaved inputs."""
    return DoublingInputs(owner=make_profile(), number=number, **values)


def test_saved_inputs_wait_for_their_check() -> None:
    """Saving sends one ticket to the queue of checks and touches no model."""
    inputs = save_inputs(doubling())
    tickets = list(DBTaskResult.objects.values_list("queue_name", "task_path"))
    assert (inputs.status, tickets) == (
        "pending",
        [("checks", "comp_core.tasks.check_inputs")],
    )


def test_check_and_run_as_wished() -> None:
    """Inputs saved with the wish to run end as a finished run."""
    inputs = save_inputs(doubling(), run_request={"title": "Mine", "is_public": True})
    while drain():
        pass
    run = Run.objects.get()
    inputs.refresh_from_db()
    assert (inputs.status, inputs.run.pk, run.status, run.title, run.is_public) == (
        "valid",
        run.pk,
        "succeeded",
        "Mine",
        True,
    )


def test_objections_are_kept() -> None:
    """What the model objects to stands beside the inputs, and nothing runs."""
    inputs = save_inputs(doubling(13), run_request={})
    drain()
    inputs.refresh_from_db()
    assert (inputs.status, inputs.errors_warnings, Run.objects.count()) == (
        "invalid",
        {"errors": {"number": ["Thirteen brings bad luck."]}},
        0,
    )


def test_a_refusal_leaves_valid_inputs(settings: Any) -> None:
    """A run that the meter refuses can be submitted again later."""
    settings.COMP_CORE = {"METER": f"{__name__}.Refusing"}
    inputs = save_inputs(doubling(), run_request={})
    drain()
    inputs.refresh_from_db()
    assert (inputs.status, inputs.errors_warnings, Run.objects.count()) == (
        "valid",
        {"errors": {"__all__": ["Your billing account is being set up."]}},
        0,
    )


def test_only_a_wish_submits() -> None:
    """Inputs without a wish are only checked."""
    save_inputs(doubling())
    drain()
    assert Run.objects.count() == 0


def test_a_wish_may_name_a_parent() -> None:
    """A re-run knows the run that it follows."""
    parent = make_run()
    save_inputs(doubling(), run_request={"parent": str(parent.pk)})
    drain()
    assert Run.objects.exclude(pk=parent.pk).get().parent_id == parent.pk


def test_the_version_is_remembered() -> None:
    """A check tells which version of the model the site serves."""
    save_inputs(doubling())
    drain()
    assert Project.objects.get(slug="doubling").upstream_version == "1.0.0"


def test_a_second_check_changes_nothing() -> None:
    """A ticket that comes twice finds the verdict given."""
    inputs = save_inputs(doubling())
    apply_check(inputs, CheckResult({"number": ["No."]}))
    assert (check_inputs.func(inputs._meta.label, str(inputs.pk)), Run.objects.count()) == (
        "invalid",
        0,
    )


def test_a_late_verdict_is_dropped() -> None:
    """Of two verdicts on the same inputs the first stands."""
    inputs = save_inputs(doubling())
    first = apply_check(inputs, CheckResult({}))
    assert (first, apply_check(inputs, CheckResult({"number": ["No."]}))) == ("valid", "valid")


def test_inputs_with_a_run_are_frozen() -> None:
    """Inputs that have a run are never saved again."""
    run = make_run()
    with pytest.raises(InputsFrozen, match="never change"):
        save_inputs(run.inputs)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 5000.0])
def test_values_that_fields_refuse(number: float) -> None:
    """Values outside a field's range, and what is no number, are refused at once."""
    with pytest.raises(ValidationError) as caught:
        save_inputs(doubling(number))
    assert set(caught.value.message_dict) == {"number"}


def test_uploads_keep_their_name() -> None:
    """The name that the user gave to a file is kept, whatever storage makes of it."""
    owner = make_profile()
    files = [ContentFile(b"x", name="data.csv") for _ in range(2)]
    saved = [save_inputs(ParcelInputs(owner=owner, document=file)) for file in files]
    assert [inputs.adjustment for inputs in saved] == [{"document": "data.csv"}] * 2


def test_copies_are_free() -> None:
    """A copy has the parameters, and nothing of the original's fate."""
    original, other = make_inputs(number=7), make_profile()
    copy = copy_inputs(original, owner=other)
    assert (copy.number, copy.owner, copy.status, copy.pk == original.pk) == (
        7,
        other,
        "pending",
        False,
    )
