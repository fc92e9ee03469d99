"""The rival's environment: it needs another major version of Stripe's SDK than we do."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import django

VARIABLE = "COMP_BENCH_RIVAL_ENV"
RIVAL = "dj-stripe 2.11.0"
# The same Django, so that the difference is the library's.
REQUIREMENTS = ["dj-stripe==2.11.0", f"Django=={django.get_version()}", "psycopg[binary]>=3.2"]
SECONDS = 600


class NotInstalled(Exception):
    """The rival cannot be had here; the text says why."""


@cache
def environment() -> Path:
    """The environment named by the variable, made if it is not there yet; raises NotInstalled."""
    directory = Path(os.environ[VARIABLE])
    python = python_of(directory)
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(directory)])
    found = subprocess.run([python, "-c", "import djstripe"], capture_output=True, check=False)
    if found.returncode != 0:
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", *REQUIREMENTS])
    return directory


def python_of(directory: Path) -> Path:
    return directory / ("Scripts" if os.name == "nt" else "bin") / "python"


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.CalledProcessError as exc:
        lines = (exc.stderr or exc.stdout or "").strip().splitlines()
        raise NotInstalled(lines[-1] if lines else str(exc)) from exc
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NotInstalled(str(exc)) from exc
