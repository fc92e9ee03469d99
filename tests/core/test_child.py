"""The model's process by itself: what it needs, and what it does when left alone."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comp_core.process import CHILD

MODEL = """
import sys
from comp_core.outputs import File
from comp_core.progress import progress

def run(inputs):
    progress(0.5, "half")
    loaded = [name for name in ("django", "comp_core.models", "psutil") if name in sys.modules]
    return [File("loaded.txt", str(loaded))]
"""


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


def start(job: dict[str, Any], directory: Path) -> subprocess.Popen[bytes]:
    """Start the child with an interpreter that knows no packages at all."""
    path = directory / "job"
    path.write_bytes(marshal.dumps(job, 2))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(CHILD), str(path)],
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


@pytest.mark.parametrize("model", ["holds_the_lock", "sleeps"])
def test_it_dies_with_its_worker(job: dict[str, Any], tmp_path: Path, model: str) -> None:
    """When the lifeline ends the child is dead within a second, also inside C code."""
    bodies = {
        "holds_the_lock": "import re\ndef run(inputs): re.match('(a+)+$', 'a' * 60 + 'b')",
        "sleeps": "import time\ndef run(inputs): time.sleep(60)",
    }
    source = bodies[model].replace(": ", ":\n    print('go', flush=True)\n    ")
    (tmp_path / "lonely.py").write_text(source)
    process = start(job, tmp_path)
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"go\n"
        process.stdin.close()
        assert process.wait(1) == -9
