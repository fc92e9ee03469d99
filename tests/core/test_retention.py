"""What is kept goes when its time is over; facts stay, whatever happens meanwhile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from comp_core import crashpoints
from comp_core.models import Run
from comp_core.outputs import File
from comp_core.outputs.files import Tally, files_in, output_storage
from comp_core.retention import apply_retention
from comp_core.retention import outputs as pruning
from comp_core.retention.outputs import prune_logs, prune_outputs
from comp_core.status import RunStatus
from tests.core.builders import make_claimed, make_inputs
from tests.core.pages import ended_run, finished_run
from tests.core.storages import Stubborn, use_storage

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_storage(settings: Any, tmp_path: Path) -> None:
    """A storage with nothing of other tests."""
    use_storage(settings, "FileSystemStorage", location=str(tmp_path / "media"))


def old_run(tmp_path: Path, *names: str, days: float = 100) -> Run:
    """A run that succeeded some time ago, with files of four bytes."""
    files = [File(name, "kept") for name in names or ("a.txt",)]
    run = finished_run(tmp_path / "out", [*files])
    ended_ago(run, days=days)
    return Run.objects.get(pk=run.pk)


def ended_ago(run: Run, *, days: float) -> None:
    """Move the end of a run into the past."""
    Run.objects.filter(pk=run.pk).update(finished_at=Now() - timedelta(days=days))


def stored() -> list[str]:
    """All files in storage."""
    return sorted(files_in(output_storage(), "runs"))


def facts(run: Run) -> dict[str, Any]:
    """The whole row but what pruning changes, and the manifest without its paths."""
    changed = ("outputs", "outputs_pruned_at", "modified")
    row = Run.objects.filter(pk=run.pk).values().get()
    kept = {name: value for name, value in row.items() if name not in changed}
    return {**kept, "files": [{**entry, "path": ""} for entry in row["outputs"]]}


def test_the_files_go_and_the_facts_stay(tmp_path: Path) -> None:
    """Time, cost, names, sizes and digests are as they were; the paths lead nowhere."""
    run = old_run(tmp_path, "a.txt", "b.txt")
    before = facts(run)
    tally = prune_outputs(90)
    pruned = Run.objects.get(pk=run.pk)
    assert (tally, stored(), facts(run), [e["path"] for e in pruned.outputs]) == (
        Tally(1, 2, 8, 0),
        [],
        before,
        ["", ""],
    )


def test_empty_folders_go(tmp_path: Path) -> None:
    """Nothing of a pruned run is left on a file system."""
    old_run(tmp_path)
    prune_outputs(90)
    assert list((tmp_path / "media").rglob("*")) == [tmp_path / "media" / "runs"]


def test_who_is_pruned(tmp_path: Path) -> None:
    """Old runs, public ones too; not younger ones, and not those under way."""
    old, public = old_run(tmp_path), old_run(tmp_path)
    Run.objects.filter(pk=public.pk).update(is_public=True)
    old_run(tmp_path, days=80)
    Run.objects.filter(pk=make_claimed().pk).update(outputs=[{"path": "runs/x"}])
    prune_outputs(90)
    pruned = Run.objects.filter(outputs_pruned_at__isnull=False)
    assert set(pruned.values_list("pk", flat=True)) == {old.pk, public.pk}


def test_pruning_again(tmp_path: Path) -> None:
    """What is pruned is not looked at again, and neither are runs without outputs."""
    old_run(tmp_path)
    ended_ago(ended_run(status=RunStatus.FAILED), days=100)
    assert (prune_outputs(90), prune_outputs(90)) == (Tally(1, 1, 4, 0), Tally())


def test_counting_only(tmp_path: Path) -> None:
    """A dry run finds the same and changes nothing."""
    run = old_run(tmp_path)
    before = Run.objects.filter(pk=run.pk).values().get()
    tally = prune_outputs(90, dry_run=True)
    assert (tally, len(stored()), Run.objects.filter(pk=run.pk).values().get()) == (
        Tally(1, 1, 4, 0),
        1,
        before,
    )


def test_many_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read in batches, and told as they are done."""
    monkeypatch.setattr(pruning, "BATCH", 2)
    [old_run(tmp_path) for _ in range(5)]
    told: list[int] = []
    tally = prune_outputs(90, tell=lambda tally: told.append(tally.rows))
    assert (tally.rows, told, stored()) == (5, [1, 2, 3, 4, 5], [])


class Death(BaseException):
    """The end of a process."""


POINTS = [
    *("prune_outputs:begin", "prune_outputs:committed", "output:deleting"),
    *("forget_paths:begin", "forget_paths:committed"),
]


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_pruner_that_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, nth: int
) -> None:
    """The next one finds the bytes that are left, and removes them."""
    [old_run(tmp_path, "a.txt", "b.txt") for _ in range(2)]
    visits = iter([None] * (nth - 1) + [Death])

    def hook(name: str) -> None:
        if name == point and (death := next(visits, None)):
            raise death

    monkeypatch.setattr(crashpoints, "hook", hook)
    with pytest.raises(Death):
        prune_outputs(90)
    prune_outputs(90)
    pruned = Run.objects.filter(outputs_pruned_at__isnull=False, outputs__0__path="")
    assert (stored(), pruned.count(), prune_outputs(90)) == ([], 2, Tally())


def test_two_pruners_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them prunes a run that both have read."""
    old_run(tmp_path)
    others: list[Tally] = []

    def hook(name: str) -> None:
        monkeypatch.setattr(crashpoints, "hook", None)
        others.append(prune_outputs(90))

    monkeypatch.setattr(crashpoints, "hook", hook)
    assert (prune_outputs(90), others, stored()) == (Tally(), [Tally(1, 1, 4, 0)], [])


def test_a_file_that_cannot_be_removed(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run is not done with, and no page offers it any more; the next time it goes."""
    use_storage(settings, "Stubborn")
    run = old_run(tmp_path, "a.txt", "stuck.txt")
    first = prune_outputs(90)
    pruned_at = Run.objects.get(pk=run.pk).outputs_pruned_at
    monkeypatch.setattr(Stubborn, "kept", "")
    assert (first, pruned_at is None, prune_outputs(90).rows, stored()) == (
        Tally(0, 1, 4, 1),
        False,
        1,
        [],
    )


@pytest.mark.parametrize("name", ["Bucket", "Blind", "Liar", "Fleeting"])
def test_any_storage(settings: Any, tmp_path: Path, name: str) -> None:
    """Without folders or lists, with lies, with complaints: the manifest has the paths."""
    options = {"location": str(tmp_path / "media")} if name == "Liar" else {}
    use_storage(settings, name, **options)
    old_run(tmp_path)
    assert prune_outputs(90) == Tally(1, 1, 4, 0)


def printed_run(*, days: float) -> Run:
    """A run that failed some time ago with words, prints and a traceback."""
    run = ended_run(
        status=RunStatus.FAILED, error_message="It broke.", traceback="line 1", stdout_tail="so"
    )
    ended_ago(run, days=days)
    return run


def words_of(run: Run) -> tuple[str, str, str]:
    """What a run still says."""
    row = Run.objects.get(pk=run.pk)
    return row.error_message, row.traceback, row.stdout_tail


def test_logs_go() -> None:
    """Prints and tracebacks of old runs are blanked; why it failed is kept."""
    old, young = printed_run(days=100), printed_run(days=80)
    tallies = prune_logs(90, dry_run=True), prune_logs(90), prune_logs(90)
    assert (tallies, words_of(old), words_of(young)) == (
        (Tally(1), Tally(1), Tally()),
        ("It broke.", "", ""),
        ("It broke.", "line 1", "so"),
    )


def test_what_is_applied_by_default(tmp_path: Path) -> None:
    """Only inputs that were never run go by themselves."""
    run, printed, unrun = old_run(tmp_path), printed_run(days=100), make_inputs()
    old = Now() - timedelta(days=31)
    type(unrun)._default_manager.filter(pk=unrun.pk).update(modified=old)
    assert (apply_retention(), len(stored()), words_of(printed)[1], apply_retention()) == (
        1,
        len(run.outputs),
        "line 1",
        0,
    )


def test_what_the_settings_say(settings: Any, tmp_path: Path) -> None:
    """Each by its own setting; None keeps for ever."""
    settings.COMP_CORE |= {
        "KEEP_OUTPUTS_DAYS": 90,
        "KEEP_LOGS_DAYS": 7.5,
        "KEEP_UNRUN_INPUTS_DAYS": None,
    }
    old_run(tmp_path), printed_run(days=8), printed_run(days=7)
    unrun = make_inputs()
    type(unrun)._default_manager.filter(pk=unrun.pk).update(modified="2020-01-01T00:00Z")
    assert (apply_retention(), stored()) == (2, [])
