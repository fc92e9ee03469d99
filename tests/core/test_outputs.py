"""What models return, turned into files: every value in its place, refusals by name."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from comp_core.outputs import Chart, File, Table
from comp_core.outputs.store import save_outputs
from comp_core.outputs.writing import Rejected, collect, write_outputs
from tests.core.builders import make_claimed, stored_files


def write(directory: Path, *outputs: Any) -> list[dict[str, Any]]:
    """Write outputs with room enough."""
    return write_outputs(list(outputs), str(directory), max_bytes=10_000, max_sum_bytes=20_000)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32("nan"), "NaN"),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (pd.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (float("-inf"), "-Infinity"),
        (Decimal("1.10"), "1.10"),
        (Decimal("Infinity"), "Infinity"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (time(1, 2), "01:02:00"),
        (timedelta(hours=1), "1:00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": (1, None)}, {"a": [1, None]}),
        ("Grüße \ud800", "Grüße \ud800"),
    ],
)
def test_values(tmp_path: Path, value: Any, stored: Any) -> None:
    """Each type of value that models return is stored in JSON's types."""
    write(tmp_path, Table("Values", ["value"], [[value]]))
    assert json.loads((tmp_path / "0").read_text())["rows"] == [[stored]]


def test_a_data_frame(tmp_path: Path) -> None:
    """Columns and rows of a data frame go in as they are."""
    frame = pd.DataFrame({"x": [1, 2], "y": [0.5, None]})
    write(tmp_path, Table("Frame", frame.columns, frame.itertuples(index=False)))
    assert json.loads((tmp_path / "0").read_text()) == {
        "columns": ["x", "y"],
        "rows": [[1, 0.5], [2, "NaN"]],
    }


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (Table("T", ["a"], [[{1, 2}]]), "outputs[0].rows[0][0] is a set"),
        (Table("T", ["a"], [[b"x"]]), "outputs[0].rows[0][0] is a bytes"),
        (Table("T", ["a"], [[{"k": [object()]}]]), "outputs[0].rows[0][0]['k'][0] is a object"),
        (Table("T", ["a"], ["row"]), "outputs[0].rows[0] must be a list, not a str"),
        (Table("T", "ab", []), "outputs[0].columns must be a list, not a str"),
        (Table("T", ["a"], [["x" * 20_000]]), "outputs[0] is larger than the 10000 bytes"),
        (Chart("C", {"data": {(1, 2): 3}}), "outputs[0].spec['data'] has a key that is a tuple"),
        (Chart("C", [1]), "outputs[0].spec must be a dict"),  # type: ignore[arg-type]  # the point
        (File("f", 5), "outputs[0].content must be bytes or text"),  # type: ignore[arg-type]  # same
        (File("/", b""), "outputs[0] needs a filename"),
        ("text", "outputs[0] must be a Table, Chart or File, not a str"),
    ],
)
def test_refusals(tmp_path: Path, output: Any, words: str) -> None:
    """What cannot be stored is refused, named by its place."""
    with pytest.raises(Rejected) as caught:
        write(tmp_path, output)
    assert words in str(caught.value)


def test_untitled(tmp_path: Path) -> None:
    """An output without a title is called by its file's name."""
    [entry] = write(tmp_path, File("../data.csv", "a,b"))
    assert (entry["title"], entry["filename"]) == ("data.csv", "data.csv")


def test_a_single_output_needs_no_list() -> None:
    """One output returned by itself is a list of one."""
    table = Table("T", [], [])
    assert collect(table) == [table]


@pytest.mark.django_db
def test_what_was_stored_goes_when_a_later_output_cannot_be_stored(tmp_path: Path) -> None:
    """The first of two is removed again, and the storage's error raised."""
    run = make_claimed()
    first, second = write(tmp_path, File("a.txt", "a"), File("b.txt", "b"))
    (tmp_path / second["file"]).unlink()

    with pytest.raises(FileNotFoundError):
        save_outputs(run, [first, second], tmp_path, between=lambda: None)

    assert stored_files(run) == []
