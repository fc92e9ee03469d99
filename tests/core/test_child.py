"""The model's process by itself: what it needs, and what it does when left alone."""

from __future__ import annotations

import json
import marshal
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

import numpy as np
import psutil
import pytest

from comp_core.channel import Channel
from comp_core.process import CHILD
from tests.core.live import wait_until

MODEL = """
import sys
from comp_core.outputs import File
from comp_core.progress import progress

def run(inputs):
    progress(0.5, "half")
    loaded = [name for name in ("django", "comp_core.models", "psutil") if name in sys.modules]
    return [File("loaded.txt", str(loaded))]
"""

SPAWNING = """
import multiprocessing
from comp_core.outputs import File

def square(number):
    return number * number

def run(inputs):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return [File("squares.txt", str(pool.map(square, [1, 2, 3])))]
"""
BURST = """
import time
from comp_core.progress import progress

def run(inputs):
    for number in range(10):
        progress(number / 10, str(number))
    time.sleep(0.5)
    return []
"""
GO = "import ctypes, os, re, sys, time\ndef run(inputs):\n    print('go', flush=True)\n    "
BUSY = {
    "holds_the_lock": f"{GO}re.match('(a+)+$', 'a' * 60 + 'b')",
    "holds_it_asleep": f"{GO}ctypes.PyDLL(None).sleep(60)",
    "sleeps": f"{GO}time.sleep(60)",
    "forks": f"{GO}time.sleep(20)".replace("print", "os.fork() or print"),
}
# Runs the model as a worker does and forks a process meanwhile; says both their numbers.
WORKER = """
import json, marshal, os, pathlib, sys, threading, time
import psutil
from comp_core.process import CHILD, Limits, run_process

job = {**json.loads(sys.argv[1]), "worker_pid": os.getpid()}
pathlib.Path("job").write_bytes(marshal.dumps(job, 2))
limits = Limits(deadline_seconds=60, grace_seconds=1, memory_bytes=None, tail_bytes=100)
threading.Thread(
    target=run_process,
    args=([sys.executable, str(CHILD), os.path.abspath("job")],),
    kwargs=dict(
        cwd=pathlib.Path.cwd(), env={"COMP_RUN_MARK": "m"}, mark="m", limits=limits,
        watch=lambda progress: None,
    ),
).start()
while not (found := psutil.Process().children()):
    time.sleep(0.01)
time.sleep(0.5)
sibling = os.fork()
if sibling:
    print(found[0].pid, sibling, flush=True)
else:
    os.close(1)
time.sleep(60)
"""
# Other Pythons of this machine, as pyenv keeps them.
OTHER_PYTHONS = sorted(
    str(path)
    for path in Path.home().glob(".pyenv/versions/3.*/bin/python")
    if int(path.parts[-3].split(".")[1]) >= 7
)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """A job for a model that stands alone in a directory."""
    (tmp_path / "lonely.py").write_text(MODEL)
    (tmp_path / "outputs").mkdir()
    return {
        "task": "run",
        "functions": "lonely",
        "inputs": {},
        "same_interpreter": False,
        "sys_path": [str(tmp_path)],
        "worker_pid": os.getpid(),
        "output_directory": str(tmp_path / "outputs"),
        "max_output_bytes": 1000,
        "max_run_output_bytes": 1000,
        "address_space_bytes": None,
    }


def start(
    job: dict[str, Any], directory: Path, python: str = sys.executable
) -> subprocess.Popen[bytes]:
    """Start the child with an interpreter that knows no packages at all."""
    path = directory / "job"
    path.write_bytes(marshal.dumps(job, 2))
    return subprocess.Popen(
        [python, "-I", "-S", str(CHILD), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def answers(process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """Everything the child says, its streams closed."""
    with process:
        assert process.stdout is not None
        return [json.loads(line) for line in process.stdout]


def test_nothing_but_the_standard_library(job: dict[str, Any], tmp_path: Path) -> None:
    """The child and what models import of this library need no installed package."""
    said = answers(start(job, tmp_path))
    assert ([message["type"] for message in said], (tmp_path / "outputs/0").read_text()) == (
        ["progress", "done"],
        "[]",
    )


def test_our_names_do_not_shadow_the_models(job: dict[str, Any], tmp_path: Path) -> None:
    """A model's own module named like one of ours is the one that it gets."""
    (tmp_path / "inputs.py").write_text("def run(inputs): return []")
    said = answers(start({**job, "functions": "inputs"}, tmp_path))
    assert [message["type"] for message in said] == ["done"]


# What a run that does nothing loads besides what Python starts with. Each costs every run its time.
LOADED = {
    "__future__",
    "comp_core",
    "comp_core.channel",
    "comp_core.child",
    "comp_core.outputs",
    "comp_core.outputs.encoding",
    "comp_core.outputs.writing",
    "comp_core.progress",
    "lonely",
}
# Written in C: most Pythons have them built in, others as files.
LOADED_IN_C = {"fcntl", "itertools", "marshal", "resource", "_thread"}


def test_what_a_run_loads(job: dict[str, Any], tmp_path: Path) -> None:
    """No module more than is needed: of Python's own none that is written in Python."""
    source = "import sys\ndef run(inputs): print(*(name for name in sys.modules), flush=True)"
    (tmp_path / "lonely.py").write_text(f"{source}\n")
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import os, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    process = start(job, tmp_path)
    with process:
        assert process.stderr is not None
        loaded = process.stderr.readline().decode().split()
    assert set(loaded) - set(bare.stdout.split()) - LOADED_IN_C == LOADED


@pytest.mark.parametrize("python", OTHER_PYTHONS)
def test_other_interpreters(job: dict[str, Any], tmp_path: Path, python: str) -> None:
    """Every Python from 3.7 on executes a model, with nothing installed."""
    said = answers(start(job, tmp_path, python))
    assert [message["type"] for message in said] == ["progress", "done"]


def test_processes_that_a_model_spawns(job: dict[str, Any], tmp_path: Path) -> None:
    """multiprocessing starts the main script again: it does nothing then, and knows our modules."""
    (tmp_path / "lonely.py").write_text(SPAWNING)
    said = answers(start(job, tmp_path))
    assert ([message["type"] for message in said], (tmp_path / "outputs/0").read_text()) == (
        ["done"],
        "[1, 4, 9]",
    )


@pytest.fixture
def pipe() -> Iterator[tuple[Channel, BinaryIO]]:
    """A channel, and what comes out of it."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as file:
        yield Channel(writing), file
        os.close(writing)


class Wordless:
    """Has neither text nor number."""

    def __str__(self) -> str:
        raise RuntimeError

    __float__ = __str__  # type: ignore[assignment]  # the point


@pytest.mark.parametrize(
    ("fraction", "message", "expected"),
    [
        (0.5, "half", (0.5, "half")),
        (np.float32(0.5), 7, (0.5, "7")),
        (True, "x" * 300, (1.0, "x" * 200)),
        (1e400, "\x00 \ud800 \n", (1.0, "\x00 \ud800 \n")),
        (-1, None, (0.0, "")),
        (float("nan"), "", (0.25, "")),
        (None, "words", (0.25, "words")),
        ("text", Wordless(), (0.25, "")),
        (Wordless(), b"x", (0.25, "b'x'")),
    ],
)
def test_whatever_is_reported(
    pipe: tuple[Channel, BinaryIO], fraction: Any, message: Any, expected: tuple[float, str]
) -> None:
    """A fraction within bounds or the last one, and text; never an error."""
    channel, file = pipe
    channel.fraction = 0.25
    channel.progress(fraction, message)
    said = json.loads(file.readline())
    assert (said["fraction"], said["message"]) == expected


def test_a_report_never_waits(pipe: tuple[Channel, BinaryIO]) -> None:
    """A signal handler may report while it interrupts a report."""
    channel, _ = pipe
    handler = Thread(target=channel.progress, args=(0.5,), daemon=True)
    with channel.lock:
        handler.start()
        handler.join(5)
    assert not handler.is_alive()


def test_the_last_report_of_a_burst_arrives(job: dict[str, Any], tmp_path: Path) -> None:
    """Reports are thinned out, but what the model says before a long silence is shown meanwhile."""
    (tmp_path / "lonely.py").write_text(BURST)
    said = answers(start(job, tmp_path))
    assert [(message.get("fraction"), message.get("message")) for message in said] == [
        (0, "0"),
        (0.9, "9"),
        (None, None),
    ]


@pytest.mark.parametrize("model", ["holds_the_lock", "holds_it_asleep", "sleeps", "forks"])
def test_it_dies_with_its_worker(job: dict[str, Any], tmp_path: Path, model: str) -> None:
    """When the lifeline ends all are dead within a second, also inside C code."""
    (tmp_path / "lonely.py").write_text(BUSY[model])
    process = start(job, tmp_path)
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"go\n"
        process.stdin.close()
        closed = time.monotonic()
        # Nobody has its end of the prints any more either, such as what it forked.
        assert (process.wait(1), process.stderr.read()) == (-9, b"")
        assert time.monotonic() - closed < 1


@pytest.mark.parametrize("model", ["holds_the_lock", "holds_it_asleep", "sleeps"])
def test_it_dies_although_a_sibling_lives(job: dict[str, Any], tmp_path: Path, model: str) -> None:
    """A process that the worker forks during the run does not keep the model alive."""
    (tmp_path / "lonely.py").write_text(BUSY[model])
    (tmp_path / "worker.py").write_text(WORKER)
    worker = subprocess.Popen(
        [sys.executable, str(tmp_path / "worker.py"), json.dumps(job)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHILD.parent.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdout is not None
        model_pid, sibling = map(int, worker.stdout.readline().split())
        worker.kill()
        worker.wait()
        wait_until(lambda: not lives(model_pid), seconds=1)
        assert lives(sibling)
        os.kill(sibling, signal.SIGKILL)


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
