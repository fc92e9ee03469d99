"""``comp_prune``: says what it removes, in words or as JSON, and removes nothing unless asked."""

from __future__ import annotations

import io
import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from comp_core.management.commands import comp_prune
from comp_core.models import Run
from comp_core.outputs import File
from comp_core.outputs.files import output_storage
from tests.core.pages import finished_run
from tests.core.storages import use_storage

pytestmark = pytest.mark.django_db

NOTHING = {"rows": 0, "files": 0, "bytes": 0, "failed": 0}
ONE_RUN = {"rows": 1, "files": 1, "bytes": 4, "failed": 0}


@pytest.fixture(autouse=True)
def run(settings: Any, tmp_path: Path) -> Run:
    """A run of a hundred days ago, in a storage with nothing of other tests."""
    use_storage(settings, "Stubborn")
    settings.COMP_CORE |= {"KEEP_UNRUN_INPUTS_DAYS": None, "SWEEP_AFTER_SECONDS": 0}
    run = finished_run(tmp_path / "out", [File("a.txt", "kept")])
    Run.objects.update(finished_at=Now() - timedelta(days=100))
    return run


def prune(*options: str) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command("comp_prune", *options, stdout=out, stderr=out)
    return out.getvalue()


def pruned() -> int:
    """How many runs have been pruned."""
    return Run.objects.filter(outputs_pruned_at__isnull=False).count()


def test_without_settings_everything_is_kept() -> None:
    """And this is said."""
    assert prune() == (
        "Outputs: kept for ever, as the settings say.\n"
        "Inputs: kept for ever, as the settings say.\n"
        "Logs: kept for ever, as the settings say.\n"
    )


def test_what_the_settings_say(settings: Any) -> None:
    """Each rule has its sentence."""
    settings.COMP_CORE |= {"KEEP_OUTPUTS_DAYS": 90, "KEEP_LOGS_DAYS": 9}
    settings.COMP_CORE |= {"KEEP_UNRUN_INPUTS_DAYS": 9}
    assert prune() == (
        "Outputs of 1 ended runs: 1 files, 4 bytes removed.\n"
        "Inputs that were never run: 0, with 0 files, 0 bytes removed.\n"
        "Prints and tracebacks of 0 ended runs removed.\n"
    )


@pytest.mark.parametrize(
    ("age", "rows"), [("90d", 1), ("110d", 0), ("2399h", 1), ("2401h", 0), ("0d", 1)]
)
def test_older_than(age: str, rows: int) -> None:
    """Days or hours since the run's end, whatever the settings say."""
    prune("--older-than", age)
    assert pruned() == rows


@pytest.mark.parametrize("age", ["90", "d", "-1d", "1.5d", "90 days", "99999999999d"])
def test_no_duration(age: str) -> None:
    """What is meant must be written."""
    with pytest.raises(CommandError, match="is no duration: write 90d or 36h"):
        prune(f"--older-than={age}")


def test_a_dry_run_as_json() -> None:
    """Machines read the same figures; a rule that keeps everything is null."""
    printed = json.loads(prune("--older-than=90d", "--dry-run", "--json"))
    assert (printed, pruned()) == (
        {"dry_run": True, "outputs": ONE_RUN, "inputs": None, "logs": None},
        0,
    )


def test_a_dry_run_in_words() -> None:
    """It says what would be."""
    assert "Outputs of 1 ended runs: 1 files, 4 bytes would be removed." in prune(
        "--older-than=90d", "--dry-run"
    )


def test_orphans() -> None:
    """Only when asked for."""
    output_storage().save(f"runs/{uuid.uuid4()}/1/1-a.txt", ContentFile(b"left"))
    without, with_them = prune("--json"), prune("--json", "--orphans")
    assert ("orphans" in without, json.loads(with_them)["orphans"]) == (False, ONE_RUN)


def test_orphans_of_another_site() -> None:
    """The refusal is an error of the command."""
    Run.objects.all().delete()
    with pytest.raises(CommandError, match="knows none of them"):
        prune("--orphans")


def test_what_could_not_be_removed(run: Run) -> None:
    """Whoever calls the command by the clock hears of it, after the figures."""
    path = output_storage().save(f"runs/{run.pk}/1/2-stuck.txt", ContentFile(b"left"))
    Run.objects.update(outputs=[{"path": path, "size": 4}])
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 could not be removed"):
        call_command("comp_prune", "--older-than=90d", "--json", stdout=out)
    assert json.loads(out.getvalue())["outputs"] == {**NOTHING, "failed": 1}


def test_long_work_shows_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the result, so that this stays readable for machines."""
    monkeypatch.setattr(comp_prune, "PROGRESS_SECONDS", 0)
    out, err = io.StringIO(), io.StringIO()
    call_command("comp_prune", "--older-than=90d", "--json", stdout=out, stderr=err)
    assert (err.getvalue(), json.loads(out.getvalue())["outputs"]) == (
        "outputs: 1 done, 1 files ...\n",
        ONE_RUN,
    )


def test_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without verbosity there is no progress."""
    monkeypatch.setattr(comp_prune, "PROGRESS_SECONDS", 0)
    err = io.StringIO()
    call_command("comp_prune", "--older-than=90d", "-v0", stdout=io.StringIO(), stderr=err)
    assert err.getvalue() == ""
