"""CSV files of strangers: read, or refused in words; never a crash."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path

import pytest
from descriptive.tables import SAMPLE, UnreadableTable, read_numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def columns(tmp_path: Path, content: bytes) -> dict[str, list[float]]:
    """The columns of numbers of a file."""
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return {name: list(values) for name, values in read_numbers(path).columns.items()}


def refusal(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableTable) as refused:
        read_numbers(path)
    return str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"\n\n  \n", "The file is empty."),
        (b"\xef\xbb\xbf", "The file is empty."),
        (b"a,b\n", "a header line and no data"),
        (b"a,b\n\n,\n", "a header line and no data"),
        (b"a\x00b\n1\x002\n", "binary"),
        (b"a,b\n1,2\n3,\x004\n", "binary"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8"),
        ("a,b\nä,1\n".encode("latin-1"), "not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
        (b"a,b\n1,2\n3\n", "Line 3 has 1 value, the header has 2."),
        (b"a,b\n1,2,3\n", "Line 2 has 3 values, the header has 2."),
        (b"name,town\nann,rome\n", "No column holds numbers only"),
        (b"a,b\nNaN,\nnan,NA\n", "No column holds numbers only"),
        (b"a,a,b\n1,2,3\n", "names a column twice: a."),
        (b"a,b\n1,1e999\n", None),
        (b'a,b\n"1,2\n', "not a CSV file"),
        (",".join(f"c{n}" for n in range(501)).encode() + b"\n", "501 columns; at most 500"),
        (b"a\n" + b"x" * 200_000 + b"\n", "not a CSV file"),
        (b"a\n" + b"1," * 600_000, "a line of more than 1,000,000 characters"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused_in_words(
    tmp_path: Path, content: bytes, words: str | None
) -> None:
    """Each with a sentence that names what is wrong, and where."""
    if words is None:
        assert columns(tmp_path, content) == {"a": [1.0]}
        return
    assert words in refusal(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n3,4\n",
        b"a,b\r\n1,2\r\n3,4\r\n",
        b"\xef\xbb\xbfa,b\n1,2\n3,4",
        b"a;b\n1;2\n3;4\n",
        b"a\tb\n1\t2\n3\t4\n",
        b' a ,"b"\n" 1","2 "\n+3,4.0\n',
        b"a,b\n\n1,2\n\n3,0.4e1\n\n",
    ],
)
def test_tables_are_read_however_they_are_written(tmp_path: Path, content: bytes) -> None:
    """Line ends, byte-order mark, separators, quotes, spaces and blank lines."""
    assert columns(tmp_path, content) == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_decimal_commas_are_read_where_semicolons_separate(tmp_path: Path) -> None:
    """As spreadsheets write them in half of Europe."""
    assert columns(tmp_path, b"a;b\n1,5;2\n") == {"a": [1.5], "b": [2.0]}


def test_quoted_line_breaks_stay_within_their_cell(tmp_path: Path) -> None:
    """They are text, and the numbers beside them are read."""
    assert columns(tmp_path, b'note,n\n"two\nlines",1\n"x, y",2\n') == {"n": [1.0, 2.0]}


def test_separators_within_quotes_do_not_count(tmp_path: Path) -> None:
    """The separator is found by what stands outside of quotes."""
    assert columns(tmp_path, b'"a;b;c;d",n\nx,1\n') == {"n": [1.0]}


def test_missing_values_are_missing(tmp_path: Path) -> None:
    """In whatever word."""
    values = columns(tmp_path, b"a,b\n1,x\nNA,x\n,x\nnan,x\n-,x\n2,x\n")["a"]
    assert [None if math.isnan(v) else v for v in values] == [1.0, None, None, None, None, 2.0]


def test_columns_that_are_left_out_are_named_with_the_reason(tmp_path: Path) -> None:
    """The first text that stands in the way, and its line."""
    path = tmp_path / "table.csv"
    path.write_bytes(b"n,text,none\n1,2,\n2,two,NA\n")
    assert read_numbers(path).left_out == {"text": "text in line 3: “two”", "none": "no values"}


def test_a_file_over_the_limit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its size alone."""
    monkeypatch.setattr("descriptive.tables.MAX_BYTES", 5)
    assert "larger than" in refusal(tmp_path, b"\x00" * 6)


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first row over the limit."""
    monkeypatch.setattr("descriptive.tables.MAX_ROWS", 2)
    assert "more than 2 rows" in refusal(tmp_path, b"a\n1\n2\n3\n")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_breaks_the_reader(tmp_path: Path, content: bytes) -> None:
    """Any bytes are read or refused in words."""
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    try:
        outcome = bool(read_numbers(path).columns)
    except UnreadableTable as refused:
        outcome = bool(str(refused))
    assert outcome


def test_the_sample_is_the_census() -> None:
    """24 censuses from 1790 to 2020; growth follows from the counts."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    people = [int(row["resident_population"]) for row in rows]
    growth = [f"{(b / a - 1) * 100:.1f}" for a, b in itertools.pairwise(people)]
    assert [int(row["year"]) for row in rows] == list(range(1790, 2021, 10))
    assert (people[0], people[-1]) == (3_929_214, 331_449_281)
    assert [row["increase_percent"] for row in rows] == ["", *growth]


def test_long_lines_are_one_row(tmp_path: Path) -> None:
    """500 columns of long numbers are not torn apart."""
    names = ",".join(f"c{n}" for n in range(500))
    row = ",".join("1." + "0" * 400 for _ in range(500))
    assert len(columns(tmp_path, f"{names}\n{row}\n".encode())) == 500
