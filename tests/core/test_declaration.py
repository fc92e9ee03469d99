"""What is wrong with a declaration is said by ``manage.py check``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from django.test.utils import isolate_apps

from comp_core.declaration import check_declaration
from comp_core.exceptions import UnknownModel
from comp_core.forms import RunForm
from comp_core.models import CoreInputs, CoreRun
from comp_core.models.base_inputs import FORM_NAMES
from comp_core.projects import ensure_projects
from comp_core.registry import get_spec, registered, spec_of
from comp_users.models import Project
from tests.core.builders import ids, make_inputs, make_run


def declare(**values: Any) -> type[CoreRun]:
    """A run model, declared inside isolated apps, with this ``Comp``."""

    class WrongInputs(CoreInputs):
        class Meta:
            app_label = "testapp"

    class WrongRun(CoreRun):
        inputs = models.OneToOneField(WrongInputs, models.PROTECT, related_name="run")
        Comp = type("Comp", (), values)

        class Meta:
            app_label = "testapp"

    return WrongRun


GOOD = {"slug": "good", "title": "Good", "functions": "tests.testapp.functions"}


def test_a_good_declaration() -> None:
    """The test project's own models have nothing wrong."""
    assert [ids(check_declaration(spec.run_model)) for spec in registered().values()] == [[]] * 5


@isolate_apps("tests.testapp")
def test_no_inputs() -> None:
    """A run without a one-to-one ``inputs`` is an error that shows the line to write."""

    class WrongRun(CoreRun):
        inputs = models.IntegerField()

        class Comp:
            slug, title, functions = "good", "Good", "tests.testapp.functions"

        class Meta:
            app_label = "testapp"

    [message] = check_declaration(WrongRun)
    assert (message.id, message.obj, "OneToOneField" in str(message.hint)) == (
        "comp_core.E010",
        WrongRun,
        True,
    )


@isolate_apps("tests.testapp")
def test_no_comp() -> None:
    """A run without ``Comp`` is an error."""

    class WrongInputs(CoreInputs):
        class Meta:
            app_label = "testapp"

    class WrongRun(CoreRun):
        inputs = models.OneToOneField(WrongInputs, models.PROTECT, related_name="run")

        class Meta:
            app_label = "testapp"

    assert ids(check_declaration(WrongRun)) == ["comp_core.E011"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"slug": ""}, ["comp_core.E012"]),
        ({"title": None}, ["comp_core.E012"]),
        ({"functions": ""}, ["comp_core.E012"]),
        ({"functions": "tests.testapp.nowhere"}, ["comp_core.E013"]),
        ({"functions": "nowhere.at.all"}, ["comp_core.E013"]),
        ({"slug": "runs"}, ["comp_core.E014"]),
        ({"slug": "No Address"}, ["comp_core.E014"]),
        ({"is_public": True}, ["comp_core.E015"]),
        ({"is_public": True, "server_cost": "0"}, []),
        ({"sever_cost": "1"}, ["comp_core.E016"]),
        ({"server_cost": "cheap"}, ["comp_core.E017"]),
        ({"server_cost": -1}, ["comp_core.E017"]),
    ],
)
@isolate_apps("tests.testapp")
def test_wrong_values(values: dict[str, Any], expected: list[str]) -> None:
    """Each mistake in ``Comp`` has its id."""
    assert ids(check_declaration(declare(**{**GOOD, **values}))) == expected


@isolate_apps("tests.testapp")
def test_a_subclass_checks_itself() -> None:
    """Django's own run over all models finds the mistake."""
    assert "comp_core.E013" in ids(declare(**{**GOOD, "functions": "nowhere"}).check())


def test_a_spec_is_read_from_its_class() -> None:
    """The declaration, in Python's types."""
    spec = get_spec("doubling")
    assert (spec.title, spec.server_cost, spec.exp_task_time, spec.is_public, spec.queue) == (
        "Doubling",
        Decimal(36),
        2,
        True,
        "default",
    )


def test_an_unknown_slug() -> None:
    """A slug that nobody declares has words."""
    with pytest.raises(UnknownModel, match="slug 'nowhere'"):
        get_spec("nowhere")


@pytest.mark.django_db
def test_spec_of_rows() -> None:
    """Inputs, runs and their base rows know their spec."""
    run = make_run()
    rows = [make_inputs(), run, run.run_ptr]
    assert {spec_of(row).slug for row in rows} == {"doubling"}


@pytest.mark.django_db
def test_projects_are_made_once() -> None:
    """Every model has a project; what an operator changed there stays."""
    Project.objects.filter(slug="doubling").update(server_cost=5, name="Renamed")
    ensure_projects()
    changed = Project.objects.get(slug="doubling")
    assert (set(Project.objects.values_list("slug", flat=True)) >= set(registered())) is True
    assert (changed.name, changed.server_cost) == ("Renamed", 5)


@pytest.mark.parametrize(
    "values",
    [
        {"overview": "x" * 301},
        {"queue": "x" * 33},
        {"queue": ""},
        {"priority": "high"},
        {"exp_task_time": -1},
        {"exp_task_time": 1.5},
        {"timeout_seconds": 0},
        {"is_public": 0},
        {"python": None},
    ],
)
@isolate_apps("tests.testapp")
def test_values_that_no_column_takes(values: dict[str, Any]) -> None:
    """What would break the first migrate or the first run is told before."""
    assert ids(check_declaration(declare(**{**GOOD, **values}))) == ["comp_core.E021"]


@isolate_apps("tests.testapp")
def test_a_rate_that_no_column_takes() -> None:
    """A million an hour is a slip of the pen."""
    assert ids(check_declaration(declare(**GOOD, server_cost="1000000"))) == ["comp_core.E017"]


@isolate_apps("tests.testapp")
def test_a_package_that_cannot_be_imported() -> None:
    """A syntax error in the package of the functions is no traceback of the check."""
    wrong = declare(**{**GOOD, "functions": "tests.testapp.crooked.functions"})
    assert ids(check_declaration(wrong)) == ["comp_core.E013"]


@isolate_apps("tests.testapp")
def test_inputs_that_are_no_inputs() -> None:
    """A one-to-one to any other table is not enough."""

    class WrongRun(CoreRun):
        inputs = models.OneToOneField(Project, models.PROTECT, related_name="wrong")

        class Comp:
            slug, title, functions = "good", "Good", "tests.testapp.functions"

        class Meta:
            app_label = "testapp"

    assert ids(check_declaration(WrongRun)) == ["comp_core.E010"]


@pytest.mark.parametrize("name", ["status", "owner", "save", "run_title", "csrfmiddlewaretoken"])
@isolate_apps("tests.testapp")
def test_a_parameter_with_a_taken_name(name: str) -> None:
    """Neither our own columns and methods nor the form's own fields can be hidden."""
    body = {"__module__": __name__, name: models.CharField(max_length=1)}
    body["Meta"] = type("Meta", (), {"app_label": "testapp"})
    taken: Any = type("TakenInputs", (CoreInputs,), body)
    found = [message for message in taken.check() if message.id == "comp_core.E022"]
    assert [message.obj for message in found] == [taken._meta.get_field(name)]


@isolate_apps("tests.testapp")
def test_parameters_that_no_model_receives() -> None:
    """Many-to-many and binary parameters would be lost silently."""

    class LosingInputs(CoreInputs):
        projects = models.ManyToManyField(Project)
        blob = models.BinaryField()
        inputs = models.IntegerField()

        class Meta:
            app_label = "testapp"

    found = [m for m in LosingInputs.check() if str(m.id).startswith("comp_core")]
    assert [(m.id, getattr(m.obj, "name", "")) for m in found] == [
        ("comp_core.E023", "projects"),
        ("comp_core.E023", "blob"),
    ]


def test_names_of_the_form_are_taken() -> None:
    """The list in the base of all inputs is the form's own."""
    assert set(RunForm.base_fields) == FORM_NAMES - {"csrfmiddlewaretoken"}
