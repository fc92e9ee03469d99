"""What models return besides values: titles, sizes, order, time; and what they report meanwhile."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from comp_core import progress
from comp_core.outputs import Chart, File, Table
from comp_core.outputs.writing import Rejected, Stopwatch, write_outputs
from tests.core.builders import content, run_unruly


def test_a_data_frame_as_rows(tmp_path: Path) -> None:
    """Its rows, not the names of its columns that it iterates over."""
    frame = pd.DataFrame({"x": [1, 2], "t": pd.to_datetime(["2026-01-02", None])})
    write_outputs(
        [Table("T", frame.columns, frame)], str(tmp_path), max_bytes=10**4, max_sum_bytes=10**4
    )
    assert json.loads((tmp_path / "0").read_bytes()) == {
        "columns": ["x", "t"],
        "rows": [[1, "2026-01-02T00:00:00"], [2, None]],
    }


class Wordless:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError


WORDS = "a\x00\ud800\n"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (Table(Wordless(), [], []), "outputs[0].title is no text: Wordless.__str__ raised"),  # type: ignore[arg-type]
        (Table("T", ["a", Wordless()], []), "outputs[0].columns[1] is no text: Wordless"),  # type: ignore[list-item]
        (Table("T", ["a"], [[1], [1, 2, 3]]), "outputs[0].rows[1] has 3 values for 1 columns."),
        (Table("T", ["a"], [count()]), "outputs[0].rows[0] has other than 1 values for 1 columns."),
        (Table("T", ["a"], 5), "outputs[0].rows must be a list, not a int."),  # type: ignore[arg-type]
        (Chart("C", {}, alt=Wordless()), "outputs[0].alt is no text"),  # type: ignore[arg-type]
        (File(Wordless(), ""), "outputs[0].filename is no text"),  # type: ignore[arg-type]
        (File("a", "", media_type=WORDS), r"outputs[0].media_type is 'a\x00\ud800\n'; it must"),
        (File("a", "", media_type="csv"), "outputs[0].media_type is 'csv'; it must look like"),
    ],
)
def test_refused_around_values(output: Any, words: str, tmp_path: Path) -> None:
    """Titles, columns, names and types have their places too."""
    with pytest.raises(Rejected) as caught:
        write_outputs([output], str(tmp_path), max_bytes=10**4, max_sum_bytes=10**4)
    assert str(caught.value).startswith(words)


def test_odd_text_around_values_is_kept(tmp_path: Path) -> None:
    """NUL and half surrogate pairs in titles, columns and descriptions harm nothing."""
    outputs = [Table(WORDS, [WORDS], []), Chart(WORDS, {}, WORDS), File(WORDS, WORDS, WORDS)]
    entries = write_outputs(outputs, str(tmp_path), max_bytes=10**4, max_sum_bytes=10**4)
    assert (
        [entry["title"] for entry in entries],
        json.loads((tmp_path / "0").read_bytes())["columns"],
        (tmp_path / "2").read_bytes(),
    ) == ([WORDS] * 3, [WORDS], b"a\x00\\ud800\n")


def test_what_is_none_is_left_out(tmp_path: Path) -> None:
    """An output without title, description or type is named by its file."""
    outputs: Any = [Chart(None, {}, alt=None), File("a.txt", "", None, None)]  # type: ignore[arg-type]
    entries = write_outputs(outputs, str(tmp_path), max_bytes=100, max_sum_bytes=100)
    assert [(entry["title"], entry.get("alt"), entry["media_type"]) for entry in entries] == [
        ("chart.json", "", "application/vnd.vegalite+json"),
        ("a.txt", None, ""),
    ]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([101], "outputs[0] is larger than the 100 bytes that this site allows for one output."),
        (
            [100, 51],
            "The outputs together are larger than the 150 bytes that this site allows for one run.",
        ),
    ],
)
def test_caps(sizes: list[int], words: str, tmp_path: Path) -> None:
    """One byte more than allowed, for one output and for all; nothing beyond it is written."""
    outputs = (File("a", b"x" * size) for size in sizes)
    with pytest.raises(Rejected) as caught:
        write_outputs(outputs, str(tmp_path), max_bytes=100, max_sum_bytes=150)
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert (str(caught.value), written) == (words, sum(sizes[:-1]))


def test_only_the_models_time_counts(tmp_path: Path) -> None:
    """What a generator takes for its outputs and rows, and nothing of what writing takes."""
    clock = count()  # a second passes with each look at it
    stopwatch = Stopwatch(lambda: float(next(clock)))
    outputs = (Table("T", ["a"], iter([[1], [2]])) for _ in range(1))
    write_outputs(outputs, str(tmp_path), max_bytes=10**4, max_sum_bytes=10**4, stopwatch=stopwatch)
    # One output and the end of them; one column and their end; two rows and their end.
    assert stopwatch.seconds == 2 + 2 + 3


@pytest.mark.django_db
def test_no_numbers_are_the_same_on_every_database() -> None:
    """They are in files, as words; the row holds none."""
    run = run_unruly("no_numbers")
    assert (run.status, json.loads(content(run))["rows"], json.loads(content(run, "2"))) == (
        "succeeded",
        [["NaN", "Infinity", "-Infinity", "NaN", None, True]],
        {"data": {"values": [{"x": None, "y": 1.5}]}},
    )


def reports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float | None, str]]:
    """What is reported from now on."""
    said: list[tuple[float | None, str]] = []
    monkeypatch.setattr(
        progress, "reporter", lambda fraction, words: said.append((fraction, words))
    )
    return said


@pytest.mark.parametrize(
    ("iterable", "expected"),
    [
        ([7, 8], [(0.0, "x"), (0.5, "x"), (1.0, "x")]),
        ([], [(1.0, "x")]),
        (iter([7, 8]), [(None, "x"), (None, "x"), (None, "x")]),
        (range(10**30, 10**30 + 1), [(0.0, "x"), (1.0, "x")]),
    ],
)
def test_track(iterable: Any, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The position where there is a length, else the label alone."""
    said = reports(monkeypatch)
    for _ in progress.track(iterable, "x"):
        pass
    assert said == expected


def test_track_is_lazy_and_closes() -> None:
    """An endless generator is taken item by item, and is closed when the loop is left."""
    seen: list[Any] = []

    def source() -> Any:
        try:
            for number in count():
                seen.append(number)
                yield number
        finally:
            seen.append("closed")

    for number in progress.track(source()):
        if number == 2:
            break
    assert seen == [0, 1, 2, "closed"]


def test_progress_outside_a_run() -> None:
    """Does nothing, whatever it is given."""
    assert progress.progress(None, "words") is None  # type: ignore[func-returns-value]
