"""What it costs to start a model: beside the same interpreter, started for nothing."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator
from typing import Any
from unittest import mock

from benchmarks.databases import Databases
from benchmarks.figures import Figure, Sample, Sizes, milliseconds, summaries
from comp_core import process
from comp_core.execution import start_model
from comp_core.jobs import Scratch, scratch_directory
from comp_core.registry import get_spec
from tests.testapp.models import DoublingInputs

AT_MOST = 1.5
PAIRS_FOR_EACH = 2
WHOLE = "start_model: the job written, the process run, what it left behind cleared"


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Spawn to exit of a model that does nothing; alternating with a bare interpreter."""
    spec = dataclasses.replace(get_spec("doubling"), functions="benchmarks.noop")
    with scratch_directory() as scratch:
        start = _recorded(spec, scratch)
        bare = _bare(start)
        found: dict[str, list[float]] = {"ours": [], "bare": [], WHOLE: []}
        _spend(start), _spend(bare)
        for _ in range(sizes.repeat * PAIRS_FOR_EACH):
            found["ours"].append(milliseconds(lambda: _spend(start)))
            found["bare"].append(milliseconds(lambda: _spend(bare)))
        for _ in range(sizes.repeat):
            found[WHOLE].append(milliseconds(lambda: _start(spec, scratch)))
    ours, rival = Sample(found.pop("ours")), Sample(found.pop("bare"))
    yield Figure(
        name="child_start",
        unit="ms",
        ours=ours,
        rival_name="python -c pass",
        rival=rival,
        paired=True,
        at_most=AT_MOST,
        parts=summaries(found),
    )


def _start(spec: Any, scratch: Scratch) -> process.Ending:
    ending = start_model(
        "run", spec, DoublingInputs(), scratch, deadline_seconds=60, watch=lambda progress: None
    )
    assert (ending.answer or {}).get("type") == "done", ending
    return ending


def _recorded(spec: Any, scratch: Scratch) -> dict[str, Any]:
    """How the library starts a model's process, its job written, as arguments of Popen."""
    with mock.patch.object(process.subprocess, "Popen", wraps=subprocess.Popen) as popen:
        _start(spec, scratch)
    # The lifeline was a descriptor that is closed by now; a pipe of Popen's own serves as well.
    given = {**popen.call_args.kwargs, "stdin": subprocess.PIPE}
    return {"args": popen.call_args.args[0], **given}


def _bare(start: dict[str, Any]) -> dict[str, Any]:
    return {**start, "args": [start["args"][0], "-c", "pass"]}


def _spend(start: dict[str, Any]) -> None:
    """From spawn to exit."""
    process = subprocess.Popen(**start)
    # Not communicate: it would close the lifeline, which ends the model.
    assert process.stdout is not None
    process.stdout.read()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    assert process.returncode == 0, process.returncode
