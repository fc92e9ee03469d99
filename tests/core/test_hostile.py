"""Models that attack what runs them: each run ends in words, and the worker carries on."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.files.base import ContentFile

from comp_core import runner
from comp_core.execution import start_model
from comp_core.jobs import scratch_directory
from comp_core.models import Run
from comp_core.registry import get_spec
from tests.core.builders import make_claimed, run_unruly, statements
from tests.testapp.hostile import NOISE
from tests.testapp.models import ParcelInputs

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
MEBIBYTE = 2**20
# Longer than any of these takes on a machine that is busy with other things.
DEADLINE_SECONDS = 60
SUCCESS = ("succeeded", "", "")
GARBLED = (
    "failed",
    "Garbled",
    "The model wrote to the channel that carries its results, and was stopped.",
)
OUT_OF_MEMORY = (
    "failed",
    "MemoryExceeded",
    "The model used more than the 0.3 GiB of memory allowed and was stopped.",
)
CLOSED = (
    "failed",
    "Crashed",
    "The model closed the channel that carries its results, so that what it returned is lost.",
)
KILLED = (
    "failed",
    "Crashed",
    "The model's process was killed (SIGKILL): by the system for want of memory, or by the model "
    "itself.",
)


def crashed(signal: str) -> tuple[str, str, str]:
    """The end of a process that a signal has ended."""
    return ("failed", "Crashed", f"The model's process crashed ({signal}).")


def exited(how: str) -> tuple[str, str, str]:
    """The end of a model that left instead of returning."""
    return ("failed", "SystemExit", f"The model ended its process with {how} instead of returning.")


def rejected(words: str) -> tuple[str, str, str]:
    """The end of a run whose results cannot be stored."""
    return ("failed", "Rejected", words)


# Behaviour, amount, and how the run ends.
ENDS: list[tuple[str, float, tuple[str, str, str]]] = [
    ("bombs_memory", 0, OUT_OF_MEMORY),
    ("bombs_memory_in_children", 300 * MEBIBYTE, OUT_OF_MEMORY),
    ("shares_memory", 100 * MEBIBYTE, SUCCESS),
    ("forks_daemons", 50, SUCCESS),
    ("forgets_its_environment", 0, SUCCESS),
    ("multiplies", 6, SUCCESS),
    ("aborts", 0, crashed("SIGABRT")),
    ("overflows_the_stack", 0, crashed("SIGSEGV")),
    ("reads_nowhere", 0, crashed("SIGSEGV")),
    ("sets_an_alarm", 0, crashed("SIGALRM")),
    ("kills_its_group", 15, crashed("SIGTERM")),
    ("kills_its_group", 9, KILLED),
    ("limits_its_seconds", 0, KILLED),
    ("exits_with", 0, exited("sys.exit(0)")),
    ("exits_with", 1, exited("sys.exit('Nothing to do.')")),
    ("hard_exits_well", 0, ("failed", "Crashed", exited("exit status 0")[2])),
    ("hard_exits", 0, ("failed", "Crashed", exited("exit status 7")[2])),
    ("closes_descriptors", 256, SUCCESS),
    ("closes_descriptors", 5000, CLOSED),
    ("removes_its_directories", 0, SUCCESS),
    ("replaces_modules", 0, SUCCESS),
    ("replaces_modules_and_fails", 0, ("failed", "ValueError", "The reservoir is empty.")),
    ("turns_the_clock", 0, SUCCESS),
    ("leaves_a_thread", 0, SUCCESS),
    ("leaves_an_exit_handler", 0, SUCCESS),
    ("replaces_its_streams", 0, SUCCESS),
    ("changes_its_ways", 0, SUCCESS),
    ("limits_its_bytes", 0, ("failed", "OSError", "[Errno 27] File too large")),
    ("reports_anything", 0.3, SUCCESS),
    ("reports_in_a_handler", 0.3, SUCCESS),
    ("raises_base", 0, ("failed", "OwnBase", "The pump is gone.")),
    ("raises_at_length", 10**8, ("failed", "ValueError", "x" * 4000)),
    ("raises_recursively", 0, ("failed", "Endless", "Endless")),
    ("raises_an_exiting_text", 0, ("failed", "Exiting", "Exiting")),
    (
        "raises_a_group",
        0,
        ("failed", "ExceptionGroup", "Two pumps failed (2 sub-exceptions)"),
    ),
    (
        "big_output",
        100 * MEBIBYTE,
        rejected("outputs[0] is larger than the 2 MiB that this site allows for one output."),
    ),
    (
        "never_stops_returning",
        0,
        rejected(
            "The outputs together are larger than the 4 MiB that this site allows for one run."
        ),
    ),
    (
        "never_stops_a_table",
        0,
        rejected("outputs[0] is larger than the 2 MiB that this site allows for one output."),
    ),
    (
        "never_stops_its_columns",
        0,
        rejected("outputs[0] is larger than the 2 MiB that this site allows for one output."),
    ),
    (
        "never_stops_a_row",
        0,
        rejected("outputs[0].rows[0] has other than 1 values for 1 columns."),
    ),
    ("never_stops_a_line", 0, GARBLED),
    *[("makes_noise", number, GARBLED) for number in range(len(NOISE))],
]


@pytest.fixture(autouse=True)
def site(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small limits, and a directory of its own for what the models leave."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings.COMP_CORE = {
        "MAX_MEMORY_BYTES": 300 * MEBIBYTE,
        "MAX_OUTPUT_BYTES": 2 * MEBIBYTE,
        "MAX_RUN_OUTPUT_BYTES": 4 * MEBIBYTE,
        "TERMINATE_GRACE_SECONDS": 0.2,
        "HEARTBEAT_SECONDS": 0.05,
    }


def suffer(behaviour: str, amount: float, *, seconds: int = DEADLINE_SECONDS) -> Run:
    """A run of the unruly model under a deadline, as it stands in the end."""
    run = make_claimed("unruly", behaviour=behaviour, amount=amount)
    run.timeout_seconds = seconds
    runner.execute(run)
    return Run.objects.get(pk=run.pk)


def left_behind(directory: Path) -> list[int]:
    """Processes that run with a temporary or a working directory in there."""
    found = []
    for process in psutil.process_iter():
        try:
            places = (process.environ().get("TMPDIR", ""), process.cwd())
        except psutil.Error:
            continue
        if any(place.startswith(f"{directory}/") for place in places):
            found.append(process.pid)
    return found


@pytest.mark.parametrize(("behaviour", "amount", "end"), ENDS)
def test_each_ends_in_words(
    behaviour: str, amount: float, end: tuple[str, str, str], tmp_path: Path
) -> None:
    """The right end, in words for the model's author; nothing is left, and the next run works."""
    run = suffer(behaviour, amount)
    left = left_behind(tmp_path)
    after = run_unruly("fine")
    assert ((run.status, run.error_type, run.error_message), left, after.status) == (
        end,
        [],
        "succeeded",
    )


@pytest.mark.parametrize("behaviour", ["loops_in_c", "sleeps_with_the_lock"])
def test_deadline_inside_c_code(behaviour: str, tmp_path: Path) -> None:
    """Whoever holds the interpreter's lock at the deadline, or ignores SIGTERM, is killed."""
    run = suffer(behaviour, 0, seconds=1)
    assert (run.status, run.error_message, left_behind(tmp_path), run_unruly("fine").status) == (
        "timed_out",
        "The model was stopped at its time limit, after 1 seconds.",
        [],
        "succeeded",
    )


def test_recursion() -> None:
    """Python's own limit, in its own words."""
    run = suffer("recurses", 0)
    assert (run.status, run.error_type, "recursion" in run.error_message) == (
        "failed",
        "RecursionError",
        True,
    )


def test_no_file_can_be_opened() -> None:
    """A model that takes the last descriptors reads that its outputs cannot be opened."""
    run = suffer("limits_its_files", 0)
    assert (run.status, "Too many open files" in run.error_message) == ("failed", True)


@pytest.mark.parametrize("behaviour", ["raises_at_length", "raises_many"])
def test_a_long_traceback_keeps_its_beginning(behaviour: str) -> None:
    """Where it was raised is in it, and it stays within its bounds."""
    traceback = suffer(behaviour, 20_000).traceback
    assert (f"in {behaviour}" in traceback, len(traceback) < 17_000) == (True, True)


def test_a_bomb_is_stopped_soon() -> None:
    """Between two looks at a growing memory there is not the time to take the machine's."""
    run = suffer("bombs_memory", 0)
    assert 300 * MEBIBYTE < (run.peak_memory_bytes or 0) < 900 * MEBIBYTE


def test_a_turned_clock_changes_no_time() -> None:
    """The run time is from a clock that the model does not reach."""
    run = suffer("turns_the_clock", 0)
    assert 0 <= run.run_time < DEADLINE_SECONDS


def test_work_done_while_returning_counts() -> None:
    """Outputs and rows that are made one at a time are made by the model, in its time."""
    run = suffer("works_while_it_returns", 0.2)
    assert 0.6 <= run.run_time < DEADLINE_SECONDS


def test_a_million_reports_cost_no_statement(settings: Any) -> None:
    """As many statements as for a run that reports nothing."""
    settings.COMP_CORE = {"HEARTBEAT_SECONDS": 600}
    run_unruly("fine")
    with statements() as silent:
        run_unruly("reports", 0.5)
    with statements() as loud:
        run_unruly("reports", 1_000_000)
    assert len(loud) == len(silent)


def memory(name: str) -> int:
    """A figure of this process's memory in bytes, as the kernel has it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's own figures")
def test_prints_do_not_fill_the_worker() -> None:
    """While a model prints 100 MB its worker grows by less than 20."""
    run_unruly("fine")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = memory("VmRSS")
    run = run_unruly("prints", 100_000)
    assert (run.status, memory("VmHWM") - before < 20 * MEBIBYTE) == ("succeeded", True)


def test_arguments_are_copies(tmp_path: Path) -> None:
    """What a model does to its parameters, files included, changes nothing of the run's."""
    inputs = ParcelInputs(
        tree={"list": [1]}, words="kept", document=ContentFile(b"kept", name="kept.txt")
    )
    spec = dataclasses.replace(get_spec("parcel"), functions="tests.testapp.hostile")
    with scratch_directory() as scratch:
        ending = start_model(
            "run", spec, inputs, scratch, deadline_seconds=10, watch=lambda progress: None
        )
    assert (
        (ending.answer or {})["type"],
        inputs.tree,
        inputs.words,
        inputs.document.open().read(),
    ) == (
        "done",
        {"list": [1]},
        "kept",
        b"kept",
    )
