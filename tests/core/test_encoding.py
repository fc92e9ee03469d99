"""Every value that models return: stored as JSON, or refused by its place, and nothing else."""

from __future__ import annotations

import enum
import io
import json
import sys
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comp_core.outputs.encoding import Rejected, encode, null, number_word

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    """An enumeration of texts."""

    RED = "red"


class Level(enum.IntEnum):
    """An enumeration of integers."""

    LOW = 1


@dataclass
class Pump:
    """A dataclass with a value that needs encoding."""

    name: str
    power: Any


RECORDS = np.array([(1, 0.5, "a")], dtype=[("n", "i4"), ("x", "f8"), ("s", "U1")])
MOMENTS = np.array([(1, "2026-01-02")], dtype=[("n", "i4"), ("t", "M8[ns]")])
NESTED_ARRAY = np.empty(2, dtype=object)
NESTED_ARRAY[:] = [Decimal("1.5"), np.array([1, 2])]
ZONE = timezone(timedelta(hours=2))

STORED: list[tuple[Any, Any]] = [
    # Python
    (True, True),
    (2**53 + 1, 2**53 + 1),
    (-(10**4299), -(10**4299)),
    (-0.0, -0.0),
    (5e-324, 5e-324),
    (1e400, "Infinity"),
    (float("nan"), "NaN"),
    (1 + 2j, "(1+2j)"),
    ('\x00 " \\ \n \u2028 \ud800 \U0001f600', '\x00 " \\ \n \u2028 \ud800 \U0001f600'),
    (Decimal("1.10"), "1.10"),
    (Decimal("1E+400"), "1E+400"),
    (Decimal("NaN"), "NaN"),
    (Decimal("sNaN"), "NaN"),
    (Decimal("-Infinity"), "-Infinity"),
    (Fraction(1, 3), "1/3"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("a/b"), "a/b"),
    (Path("a"), "a"),
    (Colour.RED, "red"),
    (Level.LOW, 1),
    (datetime(2026, 1, 2, 3, tzinfo=ZONE), "2026-01-02T03:00:00+02:00"),
    (time(1, 2, tzinfo=UTC), "01:02:00+00:00"),
    (date.min, "0001-01-01"),
    (timedelta(days=-1), "-1 day, 0:00:00"),
    (Point(1, [2]), [1, [2]]),
    (Pump("a", Decimal("1.5")), {"name": "a", "power": "1.5"}),
    (range(3), [0, 1, 2]),
    (deque([1]), [1]),
    (OrderedDict(a=1), {"a": 1}),
    (defaultdict(int, a=1), {"a": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (
        {1: "a", None: "b", False: "c", 2.5: "d", date(2026, 1, 2): "e", Colour.RED: "f"},
        {"1": "a", "null": "b", "false": "c", "2.5": "d", "2026-01-02": "e", "red": "f"},
    ),
    # NumPy
    (np.float16(0.5), 0.5),
    (np.longdouble("0.5"), 0.5),
    (np.array([0.5, np.inf], dtype=np.longdouble), [0.5, "Infinity"]),
    (np.complex64(1 + 2j), "(1+2j)"),
    (np.array([1 + 2j]), ["(1+2j)"]),
    (np.clongdouble(1), "(1+0j)"),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.array(5), 5),
    (np.array([], dtype=float), []),
    (np.zeros((1, 1, 2), dtype=bool), [[[False, False]]]),
    (np.array(["a", "bc"]), ["a", "bc"]),
    (np.datetime64("NaT", "D"), None),
    (np.array([["2026-01-02"]], dtype="M8[D]"), [["2026-01-02"]]),
    (np.ma.masked, None),
    (np.ma.array([1.5, 2.5], mask=[True, False]), [None, 2.5]),
    (np.ma.array(["2026", "2027"], dtype="M8[Y]", mask=[True, False]), [None, "2027"]),
    (RECORDS, [[1, 0.5, "a"]]),
    (RECORDS[0], [1, 0.5, "a"]),
    (MOMENTS, [[1, "2026-01-02T00:00:00.000000000"]]),
    (RECORDS.view(np.recarray)[0], [1, 0.5, "a"]),
    (NESTED_ARRAY, ["1.5", [1, 2]]),
    # pandas
    (pd.Timestamp("2026-01-02T03", tz="UTC"), "2026-01-02T03:00:00+00:00"),
    (pd.Timedelta(hours=1), "0 days 01:00:00"),
    (pd.Period("2026-01", "M"), "2026-01"),
    (pd.Interval(0, 1), "(0, 1]"),
    (pd.Series([1.5, None]), [1.5, "NaN"]),
    (pd.Series([1, None], dtype="Int64"), [1, None]),
    (pd.Series(["2026-01-02", None], dtype="datetime64[ns]"), ["2026-01-02T00:00:00", None]),
    (pd.Categorical(["a", "b", None]), ["a", "b", "NaN"]),
    (pd.Index([1, 2]), [1, 2]),
    (pd.MultiIndex.from_tuples([("a", 1)]), [["a", 1]]),
    (pd.period_range("2026-01", periods=1, freq="M"), ["2026-01"]),
]


@pytest.mark.parametrize(("value", "stored"), STORED, ids=lambda value: type(value).__name__)
def test_stored(value: Any, stored: Any) -> None:
    """Each type of value in JSON's types."""
    cell = strict(encode(value, "here", number_word).encode("utf-8", "backslashreplace"))
    assert (cell, type(cell)) == (stored, type(stored))


def strict(text: str | bytes) -> Any:
    """JSON without JavaScript's tokens for what are no numbers."""
    return json.loads(text, parse_constant=refuse)


def refuse(token: str) -> None:
    """No such token is JSON."""
    raise AssertionError(token)


CYCLE: list[Any] = []
CYCLE.append({"again": CYCLE})
ARRAY_CYCLE = np.empty(1, dtype=object)
ARRAY_CYCLE[0] = ARRAY_CYCLE
SCALAR_CYCLE = np.array(None, dtype=object)
SCALAR_CYCLE[()] = SCALAR_CYCLE


def nested(depth: int) -> Any:
    """A list in a list, so often."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class Stubborn:
    """Says that it can become Python's own types, and cannot."""

    def tolist(self) -> Any:
        raise RuntimeError("it is on another device")


class Endless:
    """Becomes another one of its kind, for ever."""

    def tolist(self) -> Any:
        return type("Endless", (Endless,), {})()


REFUSED: list[tuple[Any, str]] = [
    (b"x", " is a bytes, which cannot be stored. Decode it, or return a File."),
    (bytearray(b"x"), " is a bytearray, which cannot be stored. Decode it, or return a File."),
    (memoryview(b"x")[:0].obj, " is a bytes, which cannot be stored. Decode it, or return a File."),
    (np.bytes_(b"x"), " is a bytes_, which cannot be stored. Decode it, or return a File."),
    (np.array([b"x"]), "[0] is a bytes, which cannot be stored. Decode it, or return a File."),
    ({1}, " is a set, which cannot be stored. It has no order: make it a sorted list."),
    ((x for x in "a"), " is a generator, which cannot be stored. Make it a list."),
    ([[1], [object()]], "[1][0] is a object, which cannot be stored."),
    ({"a": {2: [print]}}, "['a'][2][0] is a builtin_function_or_method, which cannot be stored."),
    (Pump("a", {1}), "['power'] is a set, which cannot be stored. It has no order: make it a"),
    (NESTED_ARRAY.__class__, " is a type, which cannot be stored."),
    (10**4301, " is an integer of too many digits (more than 4300), which cannot be stored."),
    (CYCLE, "[0]['again'] contains itself, which cannot be stored."),
    (ARRAY_CYCLE, "[0] contains itself, which cannot be stored."),
    (SCALAR_CYCLE, " is a ndarray, which cannot be stored."),
    (Endless(), " is nested more than 100 levels deep, which cannot be stored."),
    (nested(100_000), "[0]" * 99 + " is nested more than 100 levels deep, which cannot be stored."),
    ({1: "a", "1": "b"}, ' has two keys that are both "1" as text.'),
    ({"a": {(1, 2): 3}}, "['a'] has a key that is a tuple; keys must be text."),
    ({b"a": 3}, " has a key that is a bytes; keys must be text."),
    (pd.DataFrame({"a": [1]}), " is a DataFrame, which cannot be stored. Return it as a Table of"),
    (Stubborn(), " is a Stubborn that cannot be read: it is on another device"),
    (io.StringIO(), " is a StringIO, which cannot be stored."),
]


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=lambda value: type(value).__name__)
def test_refused(value: Any, words: str) -> None:
    """Refused by its place, with advice where there is one."""
    with pytest.raises(Rejected) as caught:
        encode([1, value], "here", number_word)
    assert str(caught.value).startswith(f"here[1]{words}")


def test_a_chart_has_null_for_what_is_no_number() -> None:
    """As Vega-Lite expects it, whatever it comes from."""
    spec = {"values": [float("nan"), Decimal("Infinity"), np.float32("-inf"), pd.NaT, 1.5]}
    assert strict(encode(spec, "spec", null)) == {"values": [None, None, None, None, 1.5]}


def test_a_lowered_limit_of_digits() -> None:
    """A model that lowers Python's own limit is told the place too."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(Rejected, match="here is an integer of too many digits"):
            encode(10**1000, "here", number_word)
    finally:
        sys.set_int_max_str_digits(before)


class Shy(list[int]):
    """Cannot be read."""

    def __iter__(self) -> Iterator[int]:
        raise LookupError


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([Fraction(1, 10**4400)], "here[0] is a Fraction that cannot be read (ValueError)."),
        ({"a": Shy([1])}, "here['a'] is a Shy that cannot be read (LookupError)."),
    ],
)
def test_what_cannot_be_read(value: Any, words: str) -> None:
    """Whatever a value raises while it is read: its place is said, and the kind of the error."""
    with pytest.raises(Rejected) as rejected:
        encode(value, "here", number_word)
    assert str(rejected.value) == words


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.decimals(allow_nan=True, allow_infinity=True)
    | st.fractions()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from([np.float16("nan"), np.int8(1), np.datetime64("NaT", "D"), pd.NA, Colour.RED])
    # Made of small ones: Hypothesis writes down what it has drawn.
    | st.integers(4200, 4400).map(lambda digits: 10**digits)
    | st.integers(4200, 4400).map(lambda digits: Fraction(1, 10**digits))
)
# A signalling NaN is no key of a dict.
keys = scalars.filter(lambda key: not (isinstance(key, Decimal) and key.is_snan()))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner)
        | st.lists(inner).map(deque)
        | st.lists(st.floats(width=16)).map(lambda items: np.array(items, dtype=np.float16))
        | st.builds(Pump, st.text(), inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


def written(value: Any) -> str:
    """The value as JSON, or the words of its refusal, which begin with its place."""
    try:
        return encode(value, "here", number_word)
    except Rejected as rejected:
        return str(rejected)


@settings(deadline=None)
@given(values)
@example(nested(99))
def test_json_or_refused(value: Any) -> None:
    """Whatever the value: JSON on one line, which stays the same through JSON, or its place."""
    text = written(value)
    refused = text.startswith("here")
    sent = b"null" if refused else text.encode("utf-8", "backslashreplace")
    assert refused or (written(strict(sent)) == text and "\n" not in text)
