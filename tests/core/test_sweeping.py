"""What interrupted attempts left in storage goes; what a run has stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db.models.functions import Now

from comp_core import crashpoints, lifecycle
from comp_core.models import Attempt, Run
from comp_core.outputs import sweeping
from comp_core.outputs.files import attempt_folder, files_in, output_storage
from comp_core.outputs.sweeping import Patience, sweep
from tests.core.builders import expire, make_claimed, statements
from tests.core.storages import Stubborn, use_storage

pytestmark = pytest.mark.django_db

TWO_HOURS = 7200


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not swept before."""
    monkeypatch.setattr(sweeping, "_patience", Patience())


def put(run: Run, number: int, name: str = "1-a.txt") -> str:
    """A file of one of a run's attempts."""
    path = f"{attempt_folder(run.pk, number)}/{name}"
    return output_storage().save(path, ContentFile(b"left"))


def interrupted(*, seconds: float = TWO_HOURS, name: str = "1-a.txt") -> Run:
    """A queued run whose first attempt was interrupted some time ago and left a file."""
    run = make_claimed()
    put(run, 1, name)
    expire(run)
    assert lifecycle.reap() == 1
    ended = Now() - timedelta(seconds=seconds)
    Attempt.objects.filter(run=run).update(ended_at=ended)
    # Out of the way of the next one that is claimed.
    Run.objects.filter(pk=run.pk).update(queue=str(run.pk)[:32])
    return Run.objects.get(pk=run.pk)


def left(run: Run) -> list[str]:
    """The files that storage has of a run, as attempt and name."""
    folder = f"runs/{run.pk}"
    return sorted(path[len(folder) + 1 :] for path in files_in(output_storage(), folder))


def unswept() -> int:
    """How many attempts are still to be swept."""
    return Attempt.objects.filter(swept_at__isnull=True).count()


STORAGES = ["InMemoryStorage", "FileSystemStorage", "Bucket"]


@pytest.fixture(params=STORAGES)
def _any_storage(request: pytest.FixtureRequest, settings: Any, tmp_path: Any) -> None:
    """Each kind of storage: with files, with folders, with neither."""
    options = {"location": str(tmp_path)} if request.param == "FileSystemStorage" else {}
    use_storage(settings, request.param, **options)


@pytest.mark.usefixtures("_any_storage")
def test_what_an_attempt_left_goes() -> None:
    """Its files are removed, in folders below too, and the attempt is done with."""
    run = interrupted()
    put(run, 1, "deep/er/2-b.txt")
    assert (sweep(), left(run), unswept()) == (1, [], 0)


def test_empty_folders_go(settings: Any, tmp_path: Any) -> None:
    """On a file system the attempt's own folder goes too; the run's, once it has ended."""
    use_storage(settings, "FileSystemStorage", location=str(tmp_path))
    waiting, ended = interrupted(), interrupted()
    lifecycle.cancel(ended)
    sweep()
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", str(waiting.pk)]


def test_an_attempt_that_was_interrupted_just_now() -> None:
    """Its worker may not know yet, and be storing."""
    run = interrupted(seconds=60)
    assert (sweep(), left(run), unswept()) == (0, ["1/1-a.txt"], 1)


def test_the_attempt_after_it_is_left_alone() -> None:
    """The run is being executed again, and stores its outputs meanwhile."""
    run = interrupted()
    lifecycle.claim(run.queue, worker_id="second")
    put(run, 2)
    assert (sweep(), left(run)) == (1, ["2/1-a.txt"])


def test_what_a_manifest_names_stays() -> None:
    """Should an attempt have ended its run after all, its outputs are not touched."""
    run = interrupted()
    path = f"runs/{run.pk}/1/1-a.txt"
    put(run, 1, "2-b.txt")
    Run.objects.filter(pk=run.pk).update(outputs=[{"path": path}])
    assert (sweep(), left(run), unswept()) == (1, ["1/1-a.txt"], 0)


def test_nothing_to_sweep() -> None:
    """A round asks once."""
    interrupted(seconds=60)
    with statements() as asked:
        sweep()
    assert len(asked) == 1


def test_two_workers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both look at the same attempt; it is marked, and counted, by one of them."""
    interrupted()
    others: list[int] = []

    def hook(name: str) -> None:
        monkeypatch.setattr(crashpoints, "hook", None)
        others.append(sweep())

    monkeypatch.setattr(crashpoints, "hook", hook)
    assert (sweep(), others, unswept()) == (0, [1], 0)


class Death(BaseException):
    """The end of a process."""


@pytest.mark.parametrize("point", ["output:deleting", "sweep:begin"])
def test_a_sweeper_that_dies(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """The next round does the rest."""
    run = interrupted()

    def hook(name: str) -> None:
        monkeypatch.setattr(crashpoints, "hook", None)
        raise Death

    monkeypatch.setattr(crashpoints, "hook", lambda name: hook(name) if name == point else None)
    with pytest.raises(Death):
        sweep()
    assert (sweep(), left(run), unswept()) == (1, [], 0)


def test_a_file_that_cannot_be_removed(settings: Any) -> None:
    """The others go; this one is tried again after a pause, not in every round."""
    storage = use_storage(settings, "Stubborn")
    stuck, others = interrupted(name="1-stuck.txt"), [interrupted() for _ in range(2)]
    rounds = sweep(), sweep(), sweep()
    assert (rounds, left(stuck), [left(run) for run in others], storage.asked) == (
        (2, 0, 0),
        ["1/1-stuck.txt"],
        [[], []],
        3,
    )


def test_a_file_that_can_be_removed_at_last(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then its attempt is done with."""
    use_storage(settings, "Stubborn")
    monkeypatch.setattr(sweeping, "FIRST_PAUSE_SECONDS", 0)
    run = interrupted(name="1-stuck.txt")
    first = sweep()
    monkeypatch.setattr(Stubborn, "kept", "")
    assert (first, sweep(), left(run), unswept()) == (0, 1, [], 0)


def test_a_storage_that_is_away(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A round asks it a few times and ends; the next takes others; each is logged once."""
    storage = use_storage(settings, "Away")
    runs = [interrupted() for _ in range(7)]
    asked = [(sweep(), storage.asked), (sweep(), storage.asked), (sweep(), storage.asked)]
    assert (asked, len(caplog.records), unswept()) == ([(0, 5), (0, 7), (0, 7)], 7, len(runs))


def test_a_storage_that_stays_away(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked again and again, and logged once."""
    storage = use_storage(settings, "Away")
    monkeypatch.setattr(sweeping, "FIRST_PAUSE_SECONDS", 0)
    interrupted()
    rounds = sweep(), sweep(), sweep()
    assert (rounds, storage.asked, len(caplog.records)) == ((0, 0, 0), 3, 1)


def test_a_storage_that_cannot_list(settings: Any) -> None:
    """Nothing can be found there, so the attempt is done with."""
    use_storage(settings, "Blind")
    interrupted()
    assert (sweep(), unswept()) == (1, 0)


def test_a_round_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one takes the rest."""
    monkeypatch.setattr(sweeping, "BATCH", 2)
    runs = [interrupted() for _ in range(3)]
    assert (sweep(), sweep(), unswept(), len(runs)) == (2, 1, 0, 3)


def test_patience_doubles_and_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """From minutes to a day; only so many attempts are remembered."""
    monkeypatch.setattr(sweeping, "REMEMBERED", 2)
    patience = Patience()
    firsts = [patience.failed(pk) for pk in (1, 1, 2, 3)]
    assert (firsts, patience.waiting()) == ([True, False, True, True], [2, 3])
