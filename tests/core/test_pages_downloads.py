"""Downloads: saved, never shown; complete; named for people."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from comp_core.models import Run
from comp_core.outputs import Chart, File, Table
from tests.core.pages import finished_run, page_of, visitor

pytestmark = pytest.mark.django_db


def download(run: Run, name: str) -> tuple[Any, bytes]:
    """The response and all of its bytes; reading to the end closes the file."""
    response = visitor(run.owner).get(f"{page_of(run)}{name}")
    return response, b"".join(response)


def test_downloads_can_do_nothing_in_the_sites_origin(tmp_path: Path) -> None:
    """Even a page full of scripts is saved as bytes, in a sandbox, its type not guessed."""
    evil = File("page.html", "<script>alert(1)</script>", media_type="text/html")
    response, content = download(finished_run(tmp_path / "made", [evil]), "outputs/1/")
    assert content == b"<script>alert(1)</script>"
    assert {
        name: response.headers[name]
        for name in (
            "Content-Type",
            "Content-Disposition",
            "X-Content-Type-Options",
            "Content-Security-Policy",
        )
    } == {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": 'attachment; filename="page.html"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


def test_names_of_files_cannot_break_the_header(tmp_path: Path) -> None:
    """Quotes, line breaks and paths in a model's file name stay harmless."""
    run = finished_run(tmp_path / "made", [File('../a"\r\nX-Evil: 1;é.txt', "x")])
    response, _ = download(run, "outputs/1/")
    assert "X-Evil" not in response.headers
    assert ".." not in response.headers["Content-Disposition"]


def test_tables_are_saved_as_csv(tmp_path: Path) -> None:
    """All rows; no value is empty; what a spreadsheet would execute is marked as text."""
    rows = [[1, None, "a,b"], [2.5, True, "=1+1"], [-3, False, "-4"]]
    run = finished_run(tmp_path / "made", [Table("My table!", ["n", "x", "t"], rows)])
    response, content = download(run, "outputs/1/")
    assert response.headers["Content-Disposition"] == 'attachment; filename="my-table.csv"'
    assert content.decode() == 'n,x,t\r\n1,,"a,b"\r\n2.5,True,\'=1+1\r\n-3,False,-4\r\n'


def test_tables_are_also_there_as_stored(tmp_path: Path) -> None:
    """``?format=json``, for programs."""
    run = finished_run(tmp_path / "made", [Table("T", ["n"], [[1]])])
    _, content = download(run, "outputs/1/?format=json")
    assert content == b'{"columns": ["n"], "rows": [\n[1]\n]}\n'


def test_the_archive_holds_everything_under_names_of_its_own(tmp_path: Path) -> None:
    """Equal titles do not hide one another."""
    outputs = [
        Table("Same", ["n"], [[1]]),
        Table("Same", ["n"], [[2]]),
        Chart("Curve", {"mark": "line"}),
        File("raw.bin", bytes(range(256)) * 1000),
    ]
    run = finished_run(tmp_path / "made", list(outputs))
    _, content = download(run, "outputs.zip")
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    assert {name: archive.getinfo(name).file_size for name in archive.namelist()} == {
        "01-same.csv": 6,
        "02-same.csv": 6,
        "03-curve.vl.json": 16,
        "04-raw.bin": 256_000,
    }


@pytest.mark.parametrize("name", ["outputs/2/", "outputs/0/", "outputs/x/", "outputs/-1/"])
def test_ids_that_a_run_has_not_are_404(tmp_path: Path, name: str) -> None:
    """An output is found by its id in the manifest alone."""
    run = finished_run(tmp_path / "made", [File("a.txt", "a")])
    assert visitor(run.owner).get(f"{page_of(run)}{name}").status_code == 404


def test_a_run_without_outputs_has_no_archive(tmp_path: Path) -> None:
    """There is nothing to save."""
    run = finished_run(tmp_path / "made", [])
    assert visitor(run.owner).get(f"{page_of(run)}outputs.zip").status_code == 404
