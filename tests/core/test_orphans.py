"""A walk through the whole storage removes what belongs to nothing, and only that."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from comp_core import lifecycle
from comp_core.exceptions import CompError
from comp_core.models import Run
from comp_core.outputs import File, orphans
from comp_core.outputs.files import Tally, files_in, output_storage
from comp_core.outputs.orphans import sweep_orphans
from tests.core.builders import FAILURE, make_claimed
from tests.core.pages import finished_run
from tests.core.storages import use_storage

pytestmark = pytest.mark.django_db


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> Path:
    """An empty storage of files."""
    use_storage(settings, "FileSystemStorage", location=str(tmp_path / "media"))
    return tmp_path / "media"


def put(path: str) -> str:
    """A file of four bytes."""
    return output_storage().save(path, ContentFile(b"left"))


def age(media: Path) -> None:
    """Make every file two hours old."""
    then = time.time() - 7200
    for path in media.rglob("*"):
        os.utime(path, (then, then))


def succeeded(tmp_path: Path) -> Run:
    """A run that has one output."""
    return finished_run(tmp_path / "out", [File("a.txt", "a")])


def files_below(folder: Path) -> list[str]:
    """The files in a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_what_belongs_to_nothing_goes(media: Path, tmp_path: Path) -> None:
    """Files of no run, beside a manifest, of a failed run and of an earlier attempt."""
    run, failed, under_way = succeeded(tmp_path), make_claimed(), make_claimed()
    lifecycle.finish(failed.pk, failed.lease_token, FAILURE)
    Run.objects.filter(pk=under_way.pk).update(attempt=2)
    put(f"runs/{uuid.uuid4()}/1/1-a.txt")
    put(f"runs/{run.pk}/1/2-beside.txt"), put(f"runs/{run.pk}/strange.txt")
    put(f"runs/{failed.pk}/1/1-half.txt"), put(f"runs/{under_way.pk}/1/1-old.txt")
    age(media)

    tally = sweep_orphans()

    assert (tally, files_below(media)) == (Tally(4, 5, 20, 0), [run.outputs[0]["path"]])


def test_what_is_somebodys_stays(media: Path, tmp_path: Path) -> None:
    """Of a manifest, of the attempt under way, of one that begins meanwhile, of nobody of ours."""
    run, under_way = succeeded(tmp_path), make_claimed()
    kept = [
        *(run.outputs[0]["path"], put(f"runs/{under_way.pk}/1/1-a.txt")),
        *(put(f"runs/{under_way.pk}/2/1-a.txt"), put(f"runs/{under_way.pk}/strange.txt")),
        *(put("runs/notes/a.txt"), put("runs/a.txt"), put(f"uploads/{uuid.uuid4()}/1/a.txt")),
        put(f"runs/{str(uuid.uuid4()).upper()}/1/a.txt"),
    ]
    age(media)
    assert (sweep_orphans(), files_below(media)) == (Tally(), sorted(kept))


def test_what_is_new_stays(media: Path, tmp_path: Path) -> None:
    """Its worker may be about to write it into the manifest."""
    succeeded(tmp_path)
    path = put(f"runs/{uuid.uuid4()}/1/1-a.txt")
    assert (sweep_orphans(), output_storage().exists(path)) == (Tally(), True)


def test_what_retention_left_goes(media: Path, tmp_path: Path) -> None:
    """The manifest of a pruned run keeps no file."""
    run = succeeded(tmp_path)
    Run.objects.filter(pk=run.pk).update(outputs_pruned_at=run.finished_at)
    age(media)
    assert (sweep_orphans(), files_below(media)) == (Tally(1, 1, 1, 0), [])


def test_empty_folders_go(media: Path, tmp_path: Path) -> None:
    """Those of runs that have ended or are not there; one under way may need its own."""
    run, under_way = succeeded(tmp_path), make_claimed()
    (media / "runs" / str(run.pk) / "2").mkdir()
    (media / "runs" / str(under_way.pk) / "1").mkdir(parents=True)
    put(f"runs/{uuid.uuid4()}/1/1-a.txt")
    age(media)
    sweep_orphans()
    folders = {str(path.relative_to(media / "runs")) for path in (media / "runs").glob("*/*")}
    assert folders == {f"{run.pk}/1", f"{under_way.pk}/1"}


def test_counting_only(media: Path, tmp_path: Path) -> None:
    """A dry run finds the same and removes nothing."""
    succeeded(tmp_path)
    path = put(f"runs/{uuid.uuid4()}/1/1-a.txt")
    age(media)
    told: list[Tally] = []
    tally = sweep_orphans(dry_run=True, tell=told.append)
    assert (tally, output_storage().exists(path), len(told)) == (Tally(1, 1, 4, 0), True, 2)


def test_the_storage_of_another_site(media: Path) -> None:
    """When the database knows none of the runs, one of the two is the wrong one."""
    path = put(f"runs/{uuid.uuid4()}/1/1-a.txt")
    age(media)
    with pytest.raises(CompError, match="files of 1 runs, and this database knows none"):
        sweep_orphans()
    assert output_storage().exists(path)


def test_nothing_stored(media: Path) -> None:
    """An empty storage has no orphans."""
    assert sweep_orphans() == Tally()


def test_a_storage_that_cannot_list(settings: Any) -> None:
    """This is said, rather than that nothing was found."""
    use_storage(settings, "Blind")
    with pytest.raises(CompError, match="cannot list its files"):
        sweep_orphans()


def test_a_storage_without_times(settings: Any, tmp_path: Path) -> None:
    """The age of a file is then that of its run's end."""
    use_storage(settings, "Timeless")
    old, new = succeeded(tmp_path), succeeded(tmp_path)
    Run.objects.filter(pk=old.pk).update(finished_at="2026-01-01T00:00Z")
    put(f"runs/{old.pk}/1/2-a.txt"), put(f"runs/{uuid.uuid4()}/1/1-a.txt")
    kept = [old.outputs[0]["path"], new.outputs[0]["path"], put(f"runs/{new.pk}/1/2-a.txt")]
    assert (sweep_orphans(), sorted(files_in(output_storage(), "runs"))) == (
        Tally(2, 2, 8, 0),
        sorted(kept),
    )


def test_a_run_that_cannot_be_looked_at(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, and the others have their turn."""
    first, second = sorted((succeeded(tmp_path), succeeded(tmp_path)), key=lambda run: run.pk)
    put(f"runs/{first.pk}/1/9-a.txt"), put(f"runs/{second.pk}/1/9-a.txt")
    age(media)

    def strays(storage: Any, run_id: uuid.UUID, run: Any) -> Any:
        return through(storage, run_id, run) if run_id == second.pk else 1 / 0

    through = orphans._strays
    monkeypatch.setattr(orphans, "_strays", strays)
    assert sweep_orphans() == Tally(1, 1, 4, 1)


def test_a_file_that_cannot_be_removed(settings: Any, tmp_path: Path) -> None:
    """It is counted as such."""
    settings.COMP_CORE = {"SWEEP_AFTER_SECONDS": 0}
    use_storage(settings, "Stubborn")
    run = succeeded(tmp_path)
    put(f"runs/{run.pk}/1/2-stuck.txt")
    time.sleep(0.01)
    assert sweep_orphans() == Tally(1, 0, 0, 1)


def test_a_file_that_goes_meanwhile(settings: Any, tmp_path: Path) -> None:
    """Nothing is left to do with it."""
    use_storage(settings, "Fleeting")
    run = succeeded(tmp_path)
    put(f"runs/{run.pk}/1/2-a.txt")
    assert sweep_orphans() == Tally()


def test_many_runs(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked up in batches."""
    monkeypatch.setattr(orphans, "BATCH", 2)
    succeeded(tmp_path)
    [put(f"runs/{uuid.uuid4()}/1/1-a.txt") for _ in range(4)]
    age(media)
    assert sweep_orphans() == Tally(4, 4, 16, 0)


def test_a_storage_that_spells_names_in_its_own_way(settings: Any, tmp_path: Path) -> None:
    """Results are no orphans because their names are listed in another spelling."""
    use_storage(settings, "Decomposing", location=str(tmp_path / "media"))
    run = finished_run(tmp_path / "out", [File("Zürich.txt", "a")])
    age(tmp_path / "media")
    assert (sweep_orphans(), files_below(tmp_path / "media")) == (
        Tally(failed=1),
        [run.outputs[0]["path"]],
    )
