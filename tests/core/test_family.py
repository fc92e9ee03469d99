"""Which processes belong to a run, and which do not although it looks so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from comp_core.family import Family

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks at Linux's /proc"
)
Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes in sessions of their own; answers their numbers."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*, mark: str = "", directory: Path = Path("/")) -> int:
        process = subprocess.Popen(
            ["/bin/sleep", "60"],
            env={"COMP_RUN_MARK": mark},
            cwd=directory,
            start_new_session=True,
        )
        started.append(process)
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.wait()


def family(directory: Path, *, leader: int) -> Family:
    """A family with this leader."""
    made = Family(mark="ours", directory=str(directory))
    made.begin(leader)
    return made


def ended(pid: int) -> bool:
    """Whether a process has been killed; the test has not reaped it."""
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_who_belongs_to_it(start: Start, tmp_path: Path) -> None:
    """Whoever has the mark or works in the directory; nobody else, with nearly the same mark."""
    made = family(tmp_path, leader=0)
    pids = [
        start(mark="ours"),
        start(directory=tmp_path),
        start(mark="other"),
        start(directory=tmp_path.parent),
    ]
    made.begin(pids[0])
    made.kill()
    assert [ended(pid) for pid in pids] == [True, True, False, False]


def test_a_number_that_was_used_again(start: Start, tmp_path: Path) -> None:
    """A stranger is spared that has the number of one of the run's, now gone."""
    made = family(tmp_path, leader=0)
    leader, stranger = start(mark="ours"), start()
    made.begin(leader)
    made.ours[stranger] = "another time"
    made.kill()
    assert (ended(leader), ended(stranger)) == (True, False)


def test_numbers_are_forgotten(start: Start, tmp_path: Path) -> None:
    """A number that was another's at the beginning may become one of the run's."""
    made = family(tmp_path, leader=0)
    made.others |= {2**22 + 1}  # more than any system gives
    made.begin(start(mark="ours"))
    made.kill()
    assert 2**22 + 1 not in made.others
