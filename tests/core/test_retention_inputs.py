"""Inputs that were never run go with their uploads; what a run was made of stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError
from django.db.models import ProtectedError, QuerySet
from django.db.models.deletion import Collector
from django.db.models.functions import Now

from comp_core import crashpoints, lifecycle
from comp_core.exceptions import InputsNotValid
from comp_core.inputs import copy_inputs
from comp_core.models import Run
from comp_core.outputs.files import Tally
from comp_core.retention.inputs import prune_inputs
from comp_core.status import InputsStatus
from tests.core.builders import make_inputs
from tests.testapp.models import DoublingInputs, ParcelInputs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """A storage with nothing of other tests."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


def uploads(media: Path) -> list[str]:
    """The names of all stored files."""
    return sorted(path.name for path in media.rglob("*") if path.is_file())


def age(inputs: Any, *, days: float = 40) -> Any:
    """Inputs that were not touched for so many days."""
    rows = type(inputs)._default_manager.filter(pk=inputs.pk)
    rows.update(modified=Now() - timedelta(days=days))
    return rows.get()


def old_inputs(slug: str = "parcel", *, days: float = 40, **values: Any) -> Any:
    """Inputs that were left alone for so many days."""
    return age(make_inputs(slug, **values), days=days)


def with_upload(name: str, **values: Any) -> Any:
    """Such inputs with a file of four bytes."""
    return old_inputs(document=ContentFile(b"sent", name), **values)


def test_who_is_removed() -> None:
    """Old and checked inputs without a run, found valid or not."""
    old_inputs("doubling", status=InputsStatus.INVALID), old_inputs("doubling")
    kept = [
        old_inputs("doubling", status=InputsStatus.PENDING),
        old_inputs("doubling", days=20),
        old_inputs("doubling"),
    ]
    lifecycle.submit(kept[-1])
    tally = prune_inputs(30)
    left = set(DoublingInputs.objects.values_list("pk", flat=True))
    assert (tally, left) == (Tally(2), {inputs.pk for inputs in kept})


def test_uploads_go(media: Path) -> None:
    """With the inputs that nobody ran; those of a run stay, they are what was run."""
    old_inputs(), with_upload("gone.csv", status=InputsStatus.INVALID)
    lifecycle.submit(with_upload("run.csv"))
    assert (prune_inputs(30), uploads(media)) == (Tally(2, 1, 4, 0), ["run.csv"])


def test_an_upload_that_a_copy_names_too(media: Path) -> None:
    """It stays until the last inputs that name it go."""
    first = with_upload("shared.csv")
    copy = copy_inputs(first, owner=first.owner)
    copy.status = InputsStatus.INVALID
    copy.save()
    prunes = [(prune_inputs(30), uploads(media))]
    age(copy)
    prunes.append((prune_inputs(30), uploads(media)))
    assert prunes == [(Tally(1), ["shared.csv"]), (Tally(1, 1, 4, 0), [])]


def test_counting_only(media: Path) -> None:
    """A dry run finds the same and removes nothing."""
    with_upload("a.csv")
    told: list[Tally] = []
    tally = prune_inputs(30, dry_run=True, tell=told.append)
    assert (tally, told, uploads(media), ParcelInputs.objects.count()) == (
        Tally(1, 1, 4, 0),
        [tally],
        ["a.csv"],
        1,
    )


class Death(BaseException):
    """The end of a process."""


POINTS = ["retire_inputs:written", "output:deleting", "delete_inputs:begin"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("point", POINTS)
def test_a_pruner_that_dies(media: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """The next one removes the rest."""
    with_upload("a.csv")

    def hook(name: str) -> None:
        if name == point:
            monkeypatch.setattr(crashpoints, "hook", None)
            raise Death

    monkeypatch.setattr(crashpoints, "hook", hook)
    with pytest.raises(Death):
        prune_inputs(30)
    assert (prune_inputs(30).rows, uploads(media), ParcelInputs.objects.count()) == (1, [], 0)


def test_nobody_runs_inputs_whose_files_are_going(monkeypatch: pytest.MonkeyPatch) -> None:
    """A submit after the decision is refused."""
    inputs = with_upload("a.csv")
    refused: list[type[BaseException]] = []

    def hook(name: str) -> None:
        if name == "output:deleting":
            with pytest.raises(InputsNotValid) as caught:
                lifecycle.submit(inputs)
            refused.append(caught.type)

    monkeypatch.setattr(crashpoints, "hook", hook)
    prune_inputs(30)
    assert refused == [InputsNotValid]


def test_who_runs_them_in_time_keeps_them(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submit just before the decision wins: inputs and files stay, and can be used."""
    inputs = with_upload("a.csv")

    def hook(name: str) -> None:
        if name == "retire_inputs:begin":
            monkeypatch.setattr(crashpoints, "hook", None)
            lifecycle.submit(inputs)

    monkeypatch.setattr(crashpoints, "hook", hook)
    assert (prune_inputs(30), uploads(media), Run.objects.count()) == (Tally(), ["a.csv"], 1)


def test_who_saves_them_again_in_time_keeps_them(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs that were touched after they were read are not old any more."""
    inputs = with_upload("a.csv")

    def hook(name: str) -> None:
        if name == "retire_inputs:begin":
            inputs.save()

    monkeypatch.setattr(crashpoints, "hook", hook)
    assert (prune_inputs(30), uploads(media), ParcelInputs.objects.count()) == (
        Tally(),
        ["a.csv"],
        1,
    )


def test_an_upload_that_cannot_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its inputs stay, so that the next round finds it."""
    with_upload("a.csv")
    monkeypatch.setattr(FileSystemStorage, "delete", Mock(side_effect=OSError))
    assert (prune_inputs(30), ParcelInputs.objects.count()) == (Tally(0, 0, 0, 1), 1)


def test_inputs_that_the_site_wants_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protecting row of the site's own keeps inputs as they are."""
    inputs = with_upload("a.csv")
    monkeypatch.setattr(Collector, "collect", Mock(side_effect=ProtectedError("kept", set())))
    prune_inputs(30)
    assert ParcelInputs.objects.get(pk=inputs.pk).status == "valid"


def test_inputs_that_the_database_wants_to_keep(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A reference that Django does not know of is named in the log, and the others go."""
    old_inputs("doubling")
    monkeypatch.setattr(QuerySet, "delete", Mock(side_effect=IntegrityError("referred to")))
    assert (prune_inputs(30), len(caplog.records)) == (Tally(), 1)


def test_the_file_of_a_default_is_the_sites(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays for those who come after the last inputs that had it."""
    field = ParcelInputs._meta.get_field("document")
    name = field.storage.save("examples/iris.csv", ContentFile(b"data"))
    monkeypatch.setattr(field, "get_default", lambda: name)
    old_inputs(document=name)
    assert (prune_inputs(30), uploads(media)) == (Tally(1), ["iris.csv"])
