"""The mirror with one mistake at a time: each must make some history diverge.

A mutant replaces a piece of the source or of a statement, so it follows the code, and fails loudly
when that piece is no longer there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from comp_billing import mirror, stripe_api, webhooks
from comp_billing.mirror import placeholders, sql, write
from comp_billing.sync import bulk, fetching
from tests.faults.mutants import Mutant as FunctionMutant
from tests.faults.mutants import applied as applied_to_function


@dataclass(frozen=True)
class Mutant:
    """A mistake: ``old`` becomes ``new`` in a function's source, or in a constant of ``sql``."""

    name: str
    where: Callable[..., Any] | str
    old: str
    new: str


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The mistake is made; statements made with it are forgotten afterwards."""
    _forget_statements()
    try:
        with _changed(mutant):
            yield
    finally:
        _forget_statements()


def _changed(mutant: Mutant) -> Any:
    if callable(mutant.where):
        like_theirs = FunctionMutant(mutant.name, mutant.where, mutant.old, mutant.new, frozenset())
        return applied_to_function(like_theirs)
    text: str = getattr(sql, mutant.where)
    if text.count(mutant.old) != 1:
        raise LookupError(f"{mutant.name}: {mutant.old!r} does not stand once in the statement.")
    return mock.patch.object(sql, mutant.where, text.replace(mutant.old, mutant.new))


def _forget_statements() -> None:
    for cached in (sql.upsert_statement, sql.insert_statement, placeholders._due):
        cached.cache_clear()


ORDER = "(t.as_of, t.rank) <= (excluded.as_of, excluded.rank)"
SITES_CLOCK = 'int(__import__("django.utils.timezone").utils.timezone.now().timestamp())'

MUTANTS = [
    Mutant("newer wins, without ranks", "GUARD", ORDER, "t.as_of < excluded.as_of"),
    Mutant("the later arrival wins, without ranks", "GUARD", ORDER, "t.as_of <= excluded.as_of"),
    Mutant(
        "no guard",
        "GUARD",
        ORDER,
        "(t.as_of IS NOT NULL OR excluded.as_of IS NOT NULL)",
    ),
    Mutant(
        "what is gone leaves no tombstone",
        "GUARD",
        "(t.as_of IS NULL OR",
        "t.deleted OR (t.as_of IS NULL OR",
    ),
    Mutant(
        "a tombstone gives way to what is dated later",
        "GUARD",
        "NOT (t.deleted AND t.rank >= 3) OR",
        "TRUE OR",
    ),
    Mutant(
        "a deletion is an update",
        webhooks.mirror_object,
        '[{**data, "deleted": True} if is_gone else data]',
        "[data]",
    ),
    Mutant(
        "the pages of lists are dated by the site's clock",
        bulk._Reader._write,
        "as_of=page.date,",
        f"as_of={SITES_CLOCK},",
    ),
    Mutant(
        "answers are dated by the site's clock",
        stripe_api._answer,
        '_unix_seconds(headers.get("date", ""))',
        SITES_CLOCK,
    ),
    Mutant("ties are not marked", "TIED", "t.as_of = excluded.as_of", "1 = 0"),
    Mutant(
        "what was said before a change settles the doubt about it",
        "SETTLED",
        "t.doubt_as_of IS NULL OR t.doubt_as_of < excluded.as_of",
        "1 = 1",
    ),
    Mutant(
        "creations are like any other event",
        webhooks.rank_of,
        "return mirror.Rank.CREATED",
        "return mirror.Rank.DELETED",
    ),
    Mutant(
        "the children of old news are written",
        write._upsert,
        "[child for child in children if child.parent_id in written]",
        "children",
    ),
    Mutant(
        "removed items are not marked",
        write._write_children,
        "if child is not None:",
        "if False:",
    ),
    Mutant(
        "what is fetched is written as if it had just happened",
        fetching._write,
        "as_of=date,\n                rank=mirror.Rank.LIST",
        "as_of=date + 5,\n                rank=mirror.Rank.LIST",
    ),
    Mutant(
        "what Stripe does not know stays a placeholder",
        fetching._write,
        "if unknown:",
        "if False:",
    ),
    Mutant(
        "another version of the API is read as if it were ours",
        webhooks.mirror_object,
        "event.is_thin or not stripe_api.speaks(event.api_version)",
        "event.is_thin",
    ),
    Mutant(
        "a thin event is not a hint",
        webhooks.mirror_object,
        "event.is_thin or not stripe_api.speaks(event.api_version)",
        "not stripe_api.speaks(event.api_version)",
    ),
    Mutant(
        "charges are linked to nothing",
        write._upsert,
        "charges.link(",
        "(lambda **_: 0)(",
    ),
    Mutant(
        "nobody fetches what is in doubt",
        mirror.fetch_later,
        "if not model.collection:",
        "if model.collection:",
    ),
]
