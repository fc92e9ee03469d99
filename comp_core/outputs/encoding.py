"""Writes values as JSON text. Standard library only: it runs in the model's process.

Not the ``json`` module: that takes longer to load than everything else in that process together,
and knows neither NumPy's and pandas' types nor the place of what it refuses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    NoNumber = Callable[[float], str]
    Handler = Callable[["Encoder", Any], str]

# As deep as a value may be nested: every reader of JSON can follow so far.
MAX_DEPTH = 100
# Python itself reads no integer of more than 4300 digits.
MAX_INTEGER_BITS = 14_284
KEY_LENGTH = 60
INFINITY = float("inf")
ESCAPES = {
    **{code: f"\\u{code:04x}" for code in range(32)},
    **{ord(char): f"\\{char}" for char in '"\\'},
}


class Rejected(Exception):
    """What the model returned cannot be stored; the message says where and why."""


class Refused(Exception):
    """A value that cannot be encoded; ``path`` grows on the way out to the whole."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words, self.path = words, ""

    def inside(self, step: str) -> Refused:
        self.path = step + self.path
        return self


def number_word(value: float) -> str:
    """What stands in a table for what JSON has no number for."""
    if value > 0:
        return '"Infinity"'
    return '"-Infinity"' if value < 0 else '"NaN"'


def null(value: float) -> str:
    """What stands in a chart for what JSON has no number for."""
    return "null"


def encode(value: Any, where: str, no_number: NoNumber) -> str:
    """The value as JSON on one line; ``no_number`` says what NaN and the infinities become.

    Half surrogate pairs stay as they are: encoded as UTF-8 with "backslashreplace" they become
    JSON's own escapes. Raises Rejected, naming the place from ``where`` on.
    """
    try:
        return Encoder(no_number).encode(value)
    except Refused as refused:
        raise Rejected(f"{where}{refused.path} {refused.words}") from None


class Encoder:
    """One value's way into text: knows how deep it is, and inside of what."""

    def __init__(self, no_number: NoNumber) -> None:
        self.no_number = no_number
        self.around: list[int] = []

    def encode(self, value: Any) -> str:
        kind = type(value)
        handler = HANDLERS.get(kind)
        if handler is None:
            handler = HANDLERS[kind] = _handler(kind)
        try:
            return handler(self, value)
        except (Refused, MemoryError):
            raise
        except Exception as error:
            # Such as a fraction of more digits than Python writes, or what a type of the model's
            # own raises when it is read.
            reason = type(error).__name__
            raise Refused(f"is a {kind.__name__} that cannot be read ({reason}).") from None

    def enter(self, value: Any) -> None:
        if id(value) in self.around:
            raise Refused("contains itself, which cannot be stored.")
        if len(self.around) >= MAX_DEPTH:
            raise Refused(f"is nested more than {MAX_DEPTH} levels deep, which cannot be stored.")
        self.around.append(id(value))


def text(value: str) -> str:
    """A JSON string."""
    # Nothing that is printable needs an escape, except for these two.
    if value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    return f'"{value.translate(ESCAPES)}"'


def _text(encoder: Encoder, value: Any) -> str:
    return text(str.__str__(value))


def _integer(encoder: Encoder, value: Any) -> str:
    try:
        if int.bit_length(value) <= MAX_INTEGER_BITS:
            return int.__repr__(value)
    except ValueError:
        pass  # the model has lowered Python's own limit
    raise Refused("is an integer of too many digits (more than 4300), which cannot be stored.")


def _float(encoder: Encoder, value: Any) -> str:
    number = float.__float__(value)
    return float.__repr__(number) if number - number == 0 else encoder.no_number(number)


def _decimal(encoder: Encoder, value: Any) -> str:
    if value.is_finite():
        return text(str(value))
    if value.is_nan():
        return encoder.no_number(INFINITY - INFINITY)
    return encoder.no_number(INFINITY if value > 0 else -INFINITY)


def _list(encoder: Encoder, value: Any) -> str:
    return _items(encoder, value, value)


def _items(encoder: Encoder, whole: Any, items: Iterable[Any]) -> str:
    encoder.enter(whole)
    parts: list[str] = []
    try:
        for item in items:
            parts.append(encoder.encode(item))
    except Refused as refused:
        raise refused.inside(f"[{len(parts)}]") from None
    encoder.around.pop()
    return f"[{', '.join(parts)}]"


def _dict(encoder: Encoder, value: Any) -> str:
    encoder.enter(value)
    parts: dict[str, str] = {}
    for key, item in value.items():
        name = _key(encoder, key)
        if name in parts:
            raise Refused(f"has two keys that are both {name[:KEY_LENGTH]} as text.")
        try:
            parts[name] = encoder.encode(item)
        except Refused as refused:
            raise refused.inside(f"[{_shown(key)}]") from None
    encoder.around.pop()
    return "{" + ", ".join(f"{name}: {item}" for name, item in parts.items()) + "}"


def _key(encoder: Encoder, key: Any) -> str:
    """A scalar is its own JSON as text, such as "1", "true" and "2026-01-02"."""
    if type(key) is str:
        return text(key)
    try:
        word = "[" if isinstance(key, tuple) else encoder.encode(key)
    except Refused:
        word = "["
    if word[0] in "[{":
        raise Refused(f"has a key that is a {type(key).__name__}; keys must be text.")
    return word if word[0] == '"' else f'"{word}"'


def _shown(key: Any) -> str:
    shown = repr(key)
    return shown if len(shown) <= KEY_LENGTH else f"{shown[:KEY_LENGTH]}..."


def _fields(encoder: Encoder, value: Any) -> str:
    """A dataclass, by its fields' names."""
    return _dict(encoder, {name: getattr(value, name) for name in value.__dataclass_fields__})


def _array(encoder: Encoder, value: Any) -> str:
    """NumPy's scalars and arrays, and what else knows how to become Python's own types."""
    dtype: Any = getattr(value, "dtype", None)
    if type(value).__module__.split(".")[0] == "numpy" and _is_lossy(dtype):
        # Item by item: their tolist() loses moments, and leaves NumPy's types inside.
        if value.shape or dtype.names:
            return _items(encoder, value, value)
        if dtype.kind != "V":
            return _lossy_scalar(encoder, value)
    try:
        plain = value.tolist()
    except Exception as error:
        raise Refused(f"is a {type(value).__name__} that cannot be read: {error}") from None
    if type(plain) is list:
        return _items(encoder, value, plain)
    if type(plain) is type(value):
        return _refuse(encoder, value)
    encoder.enter(value)
    written = encoder.encode(plain)
    encoder.around.pop()
    return written


def _is_lossy(dtype: Any) -> bool:
    """Moments and durations, structures, and floats wider than Python's own."""
    kind, size = dtype.kind, dtype.itemsize
    return kind in "MmV" or (kind == "f" and size > 8) or (kind == "c" and size > 16)


def _lossy_scalar(encoder: Encoder, value: Any) -> str:
    if value.dtype.kind == "f":
        return _float(encoder, float(value))
    return "null" if str(value) == "NaT" else text(str(value))


def _refuse(encoder: Encoder, value: Any) -> str:
    name = type(value).__name__
    raise Refused(f"is a {name}, which cannot be stored.{ADVICE.get(name, '')}")


ADVICE = {
    **dict.fromkeys(("set", "frozenset"), " It has no order: make it a sorted list."),
    **dict.fromkeys(
        ("bytes", "bytearray", "memoryview", "bytes_"), " Decode it, or return a File."
    ),
    **dict.fromkeys(("generator", "map", "filter", "zip"), " Make it a list."),
    "DataFrame": " Return it as a Table of its own.",
}


def _as(make: Callable[[Any], Any]) -> Handler:
    """Encodes what is made of the value."""
    return lambda encoder, value: encoder.encode(make(value))


# By module and name, so that no model pays for importing what it does not use; of a type's bases
# the first that stands here decides.
KINDS: dict[tuple[str, str], Handler] = {
    ("builtins", "str"): _text,
    ("builtins", "bool"): lambda encoder, value: "true" if value else "false",
    ("builtins", "int"): _integer,
    ("builtins", "float"): _float,
    ("builtins", "complex"): _as(str),
    ("builtins", "NoneType"): lambda encoder, value: "null",
    **dict.fromkeys((("builtins", "list"), ("builtins", "tuple"), ("builtins", "range")), _list),
    ("collections", "deque"): _list,
    **dict.fromkeys((("builtins", "dict"), ("builtins", "mappingproxy")), _dict),
    **dict.fromkeys((("builtins", "bytes"), ("builtins", "bytearray")), _refuse),
    ("enum", "Enum"): _as(lambda value: value.value),
    **dict.fromkeys((("datetime", "date"), ("datetime", "time")), _as(lambda v: v.isoformat())),
    ("datetime", "timedelta"): _as(str),
    ("decimal", "Decimal"): _decimal,
    ("fractions", "Fraction"): _as(str),
    ("uuid", "UUID"): _as(str),
    **dict.fromkeys((("pathlib", "PurePath"), ("pathlib._local", "PurePath")), _as(str)),
}
# pandas' own, wherever its modules are.
PANDAS: dict[str, Handler] = {
    **dict.fromkeys(("NaTType", "NAType"), KINDS["builtins", "NoneType"]),
    **dict.fromkeys(("Period", "Interval", "Timedelta"), _as(str)),
}
HANDLERS: dict[type, Handler] = {}


def _handler(kind: type) -> Handler:
    """How values of this type are encoded; asked once for each type."""
    if kind.__module__.split(".")[0] == "pandas" and kind.__name__ in PANDAS:
        return PANDAS[kind.__name__]
    for base in kind.__mro__:
        handler = KINDS.get((base.__module__, base.__qualname__))
        if handler is not None:
            return handler
    if hasattr(kind, "__dataclass_fields__"):
        return _fields
    return _array if hasattr(kind, "tolist") else _refuse
