"""Turns what a model returned into files. Standard library only: it runs in the model's process.

Outputs are recognised by their ``kind`` and attributes, not by class, so that a model may bring
its own. Every refusal names the value's place, such as ``outputs[0].rows[3][1]``. Outputs and rows
are taken one at a time, so that a generator of many needs no memory for all of them.
"""

from __future__ import annotations

import os
from itertools import islice

from comp_core.outputs.encoding import Rejected, encode, null, number_word, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

__all__ = ["Rejected", "Stopwatch", "collect", "write_outputs"]

TABLE_TYPE = "application/json"
CHART_TYPE = "application/vnd.vegalite+json"
TITLE_LENGTH = 200
ALT_LENGTH = 2000
NAME_LENGTH = 255
MEBIBYTE = 2**20
# The manifest is a column of the run's row and a list on its page.
MAX_OUTPUTS = 500


class Stopwatch:
    """Seconds spent in the model's own code; ours, between its outputs and rows, do not count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds = 0.0

    def __enter__(self) -> None:
        self.started = self.clock()

    def __exit__(self, *error: object) -> None:
        self.seconds += self.clock() - self.started

    def items(self, items: Iterable[Any]) -> Iterator[Any]:
        """The same items; the time that each takes to come counts."""
        clock, iterator = self.clock, iter(items)
        while True:
            started = clock()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds += clock() - started
            yield item


class Room:
    """What a run's outputs may take, in bytes: each of them, and all together."""

    def __init__(self, *, each: int, together: int) -> None:
        self.each, self.together = each, together
        self.left = together

    def take(self, size: int, *, of: int, where: str) -> None:
        """Take room for so many more bytes of an output, which is then ``of`` bytes large."""
        self.left -= size
        if of > self.each:
            raise Rejected(
                f"{where} is larger than the {_mebibytes(self.each)} that this site allows "
                "for one output."
            )
        if self.left < 0:
            raise Rejected(
                f"The outputs together are larger than the {_mebibytes(self.together)} that this "
                "site allows for one run."
            )


class Writer:
    """Writes one output's file, and stops where there is no more room instead of filling the disk.

    ``where`` is the output's place among the others.
    """

    def __init__(self, path: str, *, room: Room, where: str, stopwatch: Stopwatch) -> None:
        self.path, self.room, self.where, self.stopwatch = path, room, where, stopwatch
        self.size = 0

    def __enter__(self) -> Writer:
        self.file = open(self.path, "wb")  # closed by __exit__
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self.room.take(len(data), of=self.size, where=self.where)
        self.file.write(data)

    def write_text(self, words: str) -> None:
        # Half surrogate pairs become JSON's escapes.
        self.write(words.encode("utf-8", "backslashreplace"))


def _mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:.0f} MiB" if size >= MEBIBYTE else f"{size} bytes"


def _items(value: Any, where: str) -> Iterable[Any]:
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise Rejected(f"{where} must be a list, not a {type(value).__name__}.")
    items: Iterable[Any] = value
    return items


def _words(value: Any, where: str, length: int) -> str:
    try:
        return str(value)[:length]
    except Exception as error:
        name = type(error).__name__
        raise Rejected(
            f"{where} is no text: {type(value).__name__}.__str__ raised {name}."
        ) from None


def _attribute(output: Any, name: str, where: str, length: int) -> str:
    """A text that an output may do without."""
    value = getattr(output, name, None)
    return "" if value is None else _words(value, f"{where}.{name}", length)


def write_table(output: Any, writer: Writer) -> dict[str, Any]:
    """One row on each line, by which pages read the first of them without the rest."""
    columns = _write_columns(output.columns, writer)
    where, rows = f"{writer.where}.rows", output.rows
    if hasattr(rows, "itertuples"):  # a data frame, whose iterator gives the names of its columns
        rows = rows.itertuples(index=False, name=None)
    for number, row in enumerate(writer.stopwatch.items(_items(rows, where))):
        place = f"{where}[{number}]"
        # One more than there should be is enough to know, and a row may have no end.
        cells = list(islice(_items(row, place), columns + 1))
        if len(cells) != columns:
            count = len(row) if hasattr(row, "__len__") else f"other than {columns}"
            raise Rejected(f"{place} has {count} values for {columns} columns.")
        line = encode(cells, place, number_word)
        writer.write_text(f",\n{line}" if number else f"\n{line}")
    writer.write(b"\n]}\n")
    return {"media_type": TABLE_TYPE, "filename": "table.json"}


def _write_columns(columns: Any, writer: Writer) -> int:
    """Write the head of a table; answers how many columns it has."""
    where, count = f"{writer.where}.columns", 0
    writer.write(b'{"columns": [')
    for column in writer.stopwatch.items(_items(columns, where)):
        name = text(_words(column, f"{where}[{count}]", writer.room.each))
        writer.write_text(f", {name}" if count else name)
        count += 1
    writer.write(b'], "rows": [')
    return count


def write_chart(output: Any, writer: Writer) -> dict[str, Any]:
    where = f"{writer.where}.spec"
    if not isinstance(output.spec, dict):
        raise Rejected(f"{where} must be a dict in Vega-Lite's form.")
    writer.write_text(encode(output.spec, where, null))
    alt = _attribute(output, "alt", writer.where, ALT_LENGTH)
    return {"media_type": CHART_TYPE, "filename": "chart.json", "alt": alt}


def write_file(output: Any, writer: Writer) -> dict[str, Any]:
    content = output.content
    name = os.path.basename(_words(output.filename, f"{writer.where}.filename", TITLE_LENGTH * 20))
    if not isinstance(content, (str, bytes, bytearray, memoryview)):
        kind = type(content).__name__
        raise Rejected(f"{writer.where}.content must be bytes or text, not a {kind}.")
    if not name:
        raise Rejected(f"{writer.where} needs a filename.")
    if isinstance(content, str):
        writer.write_text(content)
    else:
        writer.write(bytes(content))
    return {"media_type": _media_type(output, writer.where), "filename": name[-NAME_LENGTH:]}


def _media_type(output: Any, where: str) -> str:
    """It goes into a header of the download, so it must be one."""
    given = _attribute(output, "media_type", where, NAME_LENGTH)
    if given and (not given.isascii() or not given.isprintable() or "/" not in given):
        shown = ascii(given)
        raise Rejected(f"{where}.media_type is {shown}; it must look like text/csv.")
    return given


WRITERS: dict[str, Callable[[Any, Writer], dict[str, Any]]] = {
    "table": write_table,
    "chart": write_chart,
    "file": write_file,
}


def _kind(output: Any) -> str:
    """Which writer takes an output; "" when none does."""
    kind = getattr(output, "kind", None)
    return kind if isinstance(kind, str) and kind in WRITERS else ""


def collect(result: Any) -> Iterable[Any]:
    """The outputs that ``run`` returned, one by itself included."""
    if _kind(result):
        return [result]
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__iter__"):
        kind = type(result).__name__
        if hasattr(result, "close"):
            result.close()  # a coroutine that was never awaited would complain in the prints
        raise Rejected(f"run() must return a list of Table, Chart or File, not a {kind}.")
    outputs: Iterable[Any] = result
    return outputs


def write_outputs(
    outputs: Iterable[Any],
    directory: str,
    *,
    max_bytes: int,
    max_sum_bytes: int,
    stopwatch: Stopwatch | None = None,
) -> list[dict[str, Any]]:
    """Write each output to ``directory`` under its number; answers what the manifest will say.

    The time that the model takes to make outputs and rows that it makes one at a time is added to
    the stopwatch. Raises Rejected, naming the place, for what cannot be stored.
    """
    # float() is always 0.0: a clock for whom no time matters.
    stopwatch, room = stopwatch or Stopwatch(float), Room(each=max_bytes, together=max_sum_bytes)
    os.makedirs(directory, exist_ok=True)  # the model may have tidied it away
    _check_count(len(outputs) if isinstance(outputs, (list, tuple)) else 0)
    entries: list[dict[str, Any]] = []
    for number, output in enumerate(stopwatch.items(outputs)):
        _check_count(number + 1)
        where, kind = f"outputs[{number}]", _kind(output)
        if not kind:
            given = type(output).__name__
            raise Rejected(f"{where} must be a Table, Chart or File, not a {given}.")
        path = os.path.join(directory, str(number))
        with Writer(path, room=room, where=where, stopwatch=stopwatch) as writer:
            entry = WRITERS[kind](output, writer)
        title = _attribute(output, "title", where, TITLE_LENGTH)
        title = title or entry["filename"][:TITLE_LENGTH]
        entries.append({"kind": kind, "title": title, "file": str(number), **entry})
    return entries


def _check_count(count: int) -> None:
    if count > MAX_OUTPUTS:
        raise Rejected(
            f"run() returned {count} outputs; a run may have {MAX_OUTPUTS}. "
            "Put more into one file, such as a ZIP archive."
        )
