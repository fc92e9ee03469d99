"""The source distribution: all that it takes to build, test and read the project."""

from __future__ import annotations

import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (
    "comp_users",
    "comp_core",
    "comp_billing",
    "benchmarks",
    "docs",
    "example_project",
    "tests",
)
FILES = ("LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "MANIFEST.in")
BUILD_FILES = ("setup.cfg", "pyproject.toml", "tox.ini")
# Made while the project is used or tested, by Python and by the demonstration.
MADE = {"__pycache__", ".demo"}


def test_the_source_distribution_holds_the_project_and_nothing_that_was_made(sdist: Path) -> None:
    """Its tests and its documentation too; no byte code, no demonstration's data."""
    with tarfile.open(sdist) as archive:
        names = {entry.name.partition("/")[2] for entry in archive if entry.isfile()}
    files = {name for name in names if name.partition("/")[0] in FOLDERS}
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not MADE & set(path.parts)
    }
    assert (files, {*FILES, *BUILD_FILES} - names) == (there, set())
