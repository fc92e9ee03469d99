"""One build and one clean environment for all packaging tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it alone."""
    folder = tmp_path_factory.mktemp("distributions")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    return next(distributions.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that holds the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    return python


@pytest.fixture(scope="session")
def clean_environment(clean_python: Path) -> dict[str, str]:
    """Environment variables in which nothing of this checkout is visible."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DJANGO", "COMP"))}
    return {**kept, "PATH": f"{clean_python.parent}{os.pathsep}{kept['PATH']}"}
