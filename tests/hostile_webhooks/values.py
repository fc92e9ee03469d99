"""Values that are not what a field should hold, and bodies that are no events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from comp_billing.conf import conf

NAN, INFINITY = float("nan"), float("inf")
# One for each way in which readers of JSON, Python and the databases have differed.
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    10**30,
    -(10**400),
    1.5,
    -0.0,
    1e308,
    NAN,
    INFINITY,
    "",
    " ",
    "x",
    "..",
    ".",
    "a/../b?c=d#e",
    "\x00",
    "sub_\x00\x1f",
    "\ud800",
    "in_\udfff",
    "\U0001f4b6\u202e\u0301",
    "x" * 300,
    "cus_" + "x" * 252,
    "x" * 100_000,
    "9" * 5000,
    "1e9999999999",
    "NaN",
    "-Infinity",
    "2026-02-30T25:61:61Z",
    "<script>alert(1)</script>",
    "'; DROP TABLE comp_billing_event; --",
    "{{ 7|add:7 }}%s%(x)s{0}",
    "a\r\nSet-Cookie: b=c",
    [],
    [[]],
    [None, 1, "a", {}],
    {},
    {"": ""},
    {"id": 5},
    {"id": ""},
    {"id": "\x00"},
    {"id": {"id": "a"}},
    {"\ud800": {"\x00": NAN}},
    {"object": "customer", "id": "cus_1", "deleted": "yes"},
    {"data": None, "has_more": False},
    {"data": [None, 5, "x", [], {"id": None}, {"id": "si_1"}], "has_more": False},
    {"data": {"id": "si_1"}, "has_more": "no", "url": "/v1/../../etc"},
    {"data": [], "has_more": True, "url": "/v1/customers"},
)
TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
ANYTHING: st.SearchStrategy[Any] = st.sampled_from(HOSTILE) | st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def nested(levels: int, *, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """JSON of so many levels."""
    inner = b"" if opening == b"[" else b"1"
    return opening * levels + inner + closing * levels


def padded(event: dict[str, Any], size: int) -> bytes:
    """The event as a body of exactly so many bytes."""
    bare = json.dumps({**event, "padding": ""}).encode()
    return json.dumps({**event, "padding": "x" * (size - len(bare))}).encode()


def no_events(event: dict[str, Any]) -> Iterator[bytes]:
    """Bodies that are no event, or hardly one, made from a good one."""
    good = json.dumps(event).encode()
    start = good[:-1]
    yield from (b"", b" ", b"null", b"true", b"5", b'"text"', b"[]", b"{}", b"{", b"\x00")
    yield from (good[:-1], good[: len(good) // 2], good + b"x", good + good, b"\xef\xbb\xbf" + good)
    yield from (good.decode().encode("utf-16"), good.decode().encode("utf-32-be"))
    yield from (b"\xff\xfe{}", b'{"a": "\xc0\xaf"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\x00"}')
    yield from (b'{"id": "evt_1"}', b"[" + good + b"]", b'{"event": ' + good + b"}")
    yield from (start + b', "id": ' + b"9" * 5000 + b"}", start + b', "x": ' + b"9" * 4000 + b"}")
    yield from (start + b', "id": "evt_second", "id": 7}', start + b', "data": {}, "data": 1}')
    yield from (start + b', "created": NaN}', start + b', "created": 1e999}')
    yield from (start + b', "created": -99999999999}', start + b', "created": 253402300799}')
    yield from (start + b', "x": ' + nested(levels) + b"}" for levels in (10, 62, 63, 64, 65, 900))
    yield from (nested(100_000), nested(100_000, opening=b'{"a":', closing=b"}"))
    yield b"[" * 1_000_000
    yield b"a=1&b=2"
    yield b'{"__proto__": {"id": 1}}' + b"\n" * 10_000
    yield b"{" + b",".join(b'"%d":[]' % number for number in range(50_000)) + b"}"
    limit = conf.WEBHOOK_MAX_BYTES
    yield from (padded({**event, "id": "evt_largest"}, limit), padded(event, limit + 1))
