"""Outputs on their way into storage: whatever the storage does, all of them are kept or none."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError

from comp_core import lifecycle
from comp_core.exceptions import OutputsNotStored, OutputsPruned
from comp_core.models import Run
from comp_core.outputs import File, transfer
from comp_core.outputs.store import open_output, save_outputs
from comp_core.outputs.transfer import HashedFile, Keeper
from tests.core.builders import content, make_claimed, run_unruly, status, stored_files
from tests.core.live import live  # noqa: F401  # a fixture
from tests.core.pages import finished_run
from tests.core.storages import Slow, use_storage

pytestmark = pytest.mark.django_db

LETTERS = b"abcdefghij"


def written(folder: Path, *names: str) -> list[dict[str, Any]]:
    """Files as a model's process leaves them, each holding ten letters."""
    for number, _ in enumerate(names):
        (folder / str(number)).write_bytes(LETTERS)
    return [
        {"file": str(n), "filename": name, "title": name, "kind": "file", "media_type": ""}
        for n, name in enumerate(names)
    ]


def files_below(folder: Path) -> list[str]:
    """What a folder holds, folders too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def save(run: Run, folder: Path, *names: str) -> list[dict[str, Any]]:
    """Store such files, and keep no lease."""
    return save_outputs(run, written(folder, *names), folder, between=lambda: None)


def test_a_storage_that_renames(settings: Any, tmp_path: Path) -> None:
    """The manifest has the path that the storage chose, and the name that the model gave."""
    use_storage(settings, "Renaming", location=str(tmp_path / "media"))
    run = run_unruly("fine")
    [entry] = run.outputs
    assert (entry["path"], entry["filename"], content(run)) == (
        f"runs/{run.pk}/1/renamed-1-hello.txt",
        "hello.txt",
        b"Hello",
    )


def test_a_storage_without_folders(settings: Any, tmp_path: Path) -> None:
    """Read in another thread and closed by the storage, a file has its right digest and size."""
    bucket = use_storage(settings, "Bucket")
    run = make_claimed()
    [entry] = save(run, tmp_path, "a.txt")
    assert (entry["sha256"], entry["size"], list(bucket.objects)) == (
        hashlib.sha256(LETTERS).hexdigest(),
        10,
        [f"runs/{run.pk}/1/1-a.txt"],
    )


def test_a_storage_that_knows_nothing_of_its_files(settings: Any, tmp_path: Path) -> None:
    """Nobody asks whether a file exists before opening it."""
    use_storage(settings, "Liar", location=str(tmp_path / "media"))
    assert content(run_unruly("fine")) == b"Hello"


@pytest.mark.parametrize("name", ["Full", "FullAndRenaming", "BlindAndFull"])
def test_a_full_storage_keeps_nothing(settings: Any, tmp_path: Path, name: str) -> None:
    """The whole first file and half of the second are removed again, and their folder."""
    media = tmp_path / "media"
    use_storage(settings, name, location=str(media))
    run = make_claimed()
    with pytest.raises(OutputsNotStored):
        save(run, tmp_path, "a.txt", "b.txt")
    assert files_below(media) == ["runs", f"runs/{run.pk}"]


def test_a_full_storage_in_words(settings: Any, tmp_path: Path) -> None:
    """The user reads what happened and that it cost nothing; the run has no outputs."""
    use_storage(settings, "Full", location=str(tmp_path))
    run = run_unruly("makes_too_many", 2)
    assert (run.status, run.error_type, run.error_message, run.outputs, run.run_cost) == (
        "failed",
        "StorageError",
        "The outputs could not be stored: No space left on device; nothing was charged. "
        "Run it again later.",
        [],
        None,
    )


def test_a_storage_that_goes_away(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be removed either is named in the log, and the first error is the one told."""
    use_storage(settings, "FullAndAway", location=str(tmp_path / "media"))
    run = make_claimed()
    with pytest.raises(OutputsNotStored, match="No space left"):
        save(run, tmp_path, "a.txt", "b.txt")
    folder = f"runs/{run.pk}/1"
    assert [record.getMessage() for record in caplog.records] == [
        f"STORAGES['outputs'] did not take {folder}/2-b.txt.",
        f"What an attempt left in {folder} could not be listed.",
        f"The file {folder}/1-a.txt could not be removed from its storage.",
        f"The file {folder}/2-b.txt could not be removed from its storage.",
    ]


def test_a_storage_in_a_database_that_is_away(settings: Any, tmp_path: Path) -> None:
    """No end can be written down then either: the run is taken up again when its lease ends."""
    use_storage(settings, "Tabular")
    run = make_claimed()
    with pytest.raises(OperationalError):
        save(run, tmp_path, "a.txt")


def test_a_storage_that_says_too_much(settings: Any) -> None:
    """Names of buckets and keys are for the log, not for the page."""
    use_storage(settings, "Secretive")
    assert run_unruly("fine").error_message == (
        "The outputs could not be stored: the storage answered with RuntimeError; "
        "nothing was charged. Run it again later."
    )


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("slow", ["chunk_seconds", "send_seconds"])
def test_one_file_that_takes_longer_than_the_lease(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """The lease is kept while a storage reads slowly, and while it has read all and sends."""
    seconds = {"chunk_seconds": 0.4, "send_seconds": 2.0}[slow]
    settings.COMP_CORE = {"LEASE_SECONDS": 1, "HEARTBEAT_SECONDS": 0.1}
    use_storage(settings, "Slow", **{slow: seconds})
    monkeypatch.setattr(Slow, "meanwhile", lifecycle.reap, raising=False)
    run = make_claimed()
    save_outputs(
        run,
        written(tmp_path, "a.txt"),
        tmp_path,
        between=partial(lifecycle.heartbeat, run.pk, run.lease_token),
    )
    assert status(run) == "running"


@pytest.mark.parametrize(("stalled", "beats"), [(300, True), (0, False)])
def test_a_storage_that_hangs(
    settings: Any, monkeypatch: pytest.MonkeyPatch, stalled: float, beats: bool
) -> None:
    """It keeps the lease for a while only; then the run may start again."""
    settings.COMP_CORE = {"HEARTBEAT_SECONDS": 0.01}
    monkeypatch.setattr(transfer, "STALLED_SECONDS", stalled)
    beaten: list[int] = []
    with Keeper(lambda: beaten.append(1)):
        time.sleep(0.3)
    assert bool(beaten) == beats


def test_a_heartbeat_that_fails(settings: Any) -> None:
    """The next one is tried all the same."""
    settings.COMP_CORE = {"HEARTBEAT_SECONDS": 0.01}
    beaten: list[int] = []

    def beat() -> None:
        beaten.append(1)
        raise RuntimeError("no answer")

    with Keeper(beat):
        time.sleep(0.3)
    assert len(beaten) > 1


READERS: dict[str, Callable[[HashedFile], object]] = {
    "all": lambda file: file.read(),
    "rest": lambda file: file.readall(),
    "none": lambda file: None,
    "part": lambda file: file.read(4),
    "chunks": lambda file: [file.read(3) for _ in range(5)],
    "into a buffer": lambda file: file.readinto(bytearray(6)),
    "twice": lambda file: (file.read(), file.seek(0), file.read(7)),
    "end first": lambda file: (file.seek(6), file.read(), file.seek(0), file.read(8)),
    "closed": HashedFile.close,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_digest_is_right_however_a_file_is_read(tmp_path: Path, reader: str) -> None:
    """In pieces, twice, backwards, in part, or not at all."""
    (tmp_path / "file").write_bytes(LETTERS)
    with HashedFile(tmp_path / "file", moved=lambda: None) as file:
        READERS[reader](file)
        assert file.sha256() == hashlib.sha256(LETTERS).hexdigest()


def test_a_digest_costs_no_second_reading(tmp_path: Path) -> None:
    """What storage has read is not read again: by then it may be gone."""
    (tmp_path / "file").write_bytes(LETTERS)
    with HashedFile(tmp_path / "file", moved=lambda: None) as file:
        file.read()
        (tmp_path / "file").write_bytes(b"")
        assert file.sha256() == hashlib.sha256(LETTERS).hexdigest()


def test_a_pruned_output_says_so(tmp_path: Path) -> None:
    """Not that it never was; those who can do with a missing file can do with this one."""
    run = finished_run(
        tmp_path / "out", [File("a.txt", "a")], outputs_pruned_at="2026-01-01T00:00Z"
    )
    with pytest.raises(OutputsPruned) as caught:
        open_output(run, "1")
    assert isinstance(caught.value, FileNotFoundError)


def test_an_output_that_is_gone(tmp_path: Path) -> None:
    """A file that somebody else removed is missing; an id that the run has not is no file."""
    run = finished_run(tmp_path / "out", [File("a.txt", "a")])
    default_storage.delete(run.outputs[0]["path"])
    with pytest.raises(FileNotFoundError):
        open_output(run, "1")
    assert stored_files(run) == []
