"""The guarded statements, built from a model's metadata; PostgreSQL and SQLite (3.35 or later)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from django.db import connections, models
from django.utils import timezone

from comp_billing.mirror.adapters import Adapter, adapter
from comp_billing.mirror.rank import Rank
from comp_billing.models import StripeObject, Sync

GUARDED = ("data", "livemode", "api_version", "as_of", "rank", "deleted")
# SQLite refuses longer unions.
UNION_ROWS = 400
# So that the answer has a later date than the versions that are in doubt.
FETCH_DELAY = timedelta(seconds=2)

# Newer wins, and of two versions that are equally new the later arrival, which is a guess: see
# TIED. A tombstone told by Stripe stays, unless an id that may be chosen is taken again; an item
# that was only missing from its subscription comes back with newer news.
GUARD = (
    "(t.as_of IS NULL OR (t.as_of, t.rank) <= (excluded.as_of, excluded.rank))"
    " AND (NOT (t.deleted AND t.rank >= 3) OR (excluded.deleted AND excluded.rank >= 3){again})"
)
# An event of its creation, later than the deletion.
AGAIN = " OR (excluded.rank = 1 AND excluded.as_of > t.as_of)"
# Said before a reading of the list began, whole or not, at its end or under way: it may have found
# the row as it is and not written it, or have missed it because it was gone, and the next news may
# have been said before that too, or have been lost. Such a row arrives in doubt. Empty otherwise.
OVERTAKEN = (
    "(SELECT {value} FROM {sync} WHERE kind = '{kind}'"
    " AND (complete_as_of > {as_of} OR as_of > {as_of}))"
)
NEVER = 2**62
# Of one second and one rank, or read from a list within it: which is the later cannot be told.
TIED = "t.as_of = excluded.as_of AND (t.rank = excluded.rank OR t.rank = 0)"
# Nothing more is to be learnt of what Stripe has said to be deleted.
FINAL = "(excluded.deleted AND excluded.rank >= 3)"
SETTLED = f"t.doubt_as_of IS NULL OR t.doubt_as_of < excluded.as_of OR {FINAL}"
# What was in doubt as of later stays so.
LATER_DOUBT = "CASE WHEN t.doubt_as_of > excluded.as_of THEN t.doubt_as_of ELSE excluded.as_of END"
IS_NEWS = "t.as_of IS NULL OR t.deleted <> excluded.deleted OR t.fetch_at IS NOT NULL"


# On SQLite, Django looks for each %s with a regular expression, whenever a statement is executed:
# that takes as long as the statement. Named parameters are spared it.
NAMES = [f"p{number}" for number in range(100)]
PLACE = re.compile("(?<!%)%s")


@lru_cache(maxsize=256)
def _named(sql: str) -> str:
    # Not at a sign of per cent that is escaped.
    first, *others = PLACE.split(sql)
    return first + "".join(f"%({NAMES[n]})s{text}" for n, text in enumerate(others))


class Statement:
    """``INSERT … ON CONFLICT`` for one model on one database."""

    def __init__(self, model: type[models.Model], using: str) -> None:
        # Shared by threads, so nothing of this thread's connection may be kept but its dialect.
        connection = connections[using]
        self.using = using
        self.is_sqlite = connection.vendor == "sqlite"
        self.fields = list(model._meta.concrete_fields)
        # Some columns take several parameters.
        columns = [*self.fields, *self.fields[:5]]
        self.batch_rows = max(1, connection.ops.bulk_batch_size(columns, [None] * 1000))
        self.quote = connection.ops.quote_name
        self.table = self.quote(model._meta.db_table)
        self.defaults: dict[str, Any] = {f.attname: f.get_default() for f in self.fields}
        self.adapters: list[tuple[str, Adapter | None]] = [
            (field.attname, adapter(field, using)) for field in self.fields
        ]
        self.columns = ", ".join(self.quote(str(field.column)) for field in self.fields)
        self.names = [field.attname for field in self.fields]
        self.places = _places(self.fields)

    def execute(self, rows: Sequence[dict[str, Any]], conflict: str, *last: Any) -> set[str]:
        """Insert rows ({attname: value}); answers the keys of those inserted or updated.

        ``last``: the parameters of ``conflict``.
        """
        return self._in_batches([self.adapt(row) for row in rows], self.places, conflict, *last)

    def _in_batches(
        self, rows: Sequence[list[Any]], places: str, conflict: str, *last: Any
    ) -> set[str]:
        written: set[str] = set()
        for start in range(0, len(rows), self.batch_rows):
            batch = rows[start : start + self.batch_rows]
            values = ", ".join([f"({places})"] * len(batch))
            params = [value for row in batch for value in row]
            written |= self.run(f"VALUES {values}", [*params, *last], conflict)
        return written

    def run(self, source: str, params: Sequence[Any], conflict: str) -> set[str]:
        # Names from the model's metadata, quoted; values are parameters.
        insert = f"INSERT INTO {self.table} AS t ({self.columns}) {source}"
        sql = f"{insert} ON CONFLICT {conflict}"
        values: Any = params
        if self.is_sqlite and len(params) < len(NAMES):
            sql, values = _named(sql), dict(zip(NAMES, params, strict=False))
        with connections[self.using].cursor() as cursor:
            cursor.execute(sql, values)
            return {key for (key,) in cursor.fetchall()}

    def adapt(self, row: dict[str, Any]) -> list[Any]:
        """A row's values as the driver wants them; columns not given get their defaults."""
        row = {**self.defaults, **row}
        return [
            value if (value := row[name]) is None or fit is None else fit(value)
            for name, fit in self.adapters
        ]


class Upsert(Statement):
    """The guarded upsert of one kind: objects, and the news that an object is gone.

    The last JSON of a gone object and its columns stay readable on its tombstone. ``told``:
    objects that exist; ``mixed``: some of which are gone; ``quiet``: an unchanged row is not
    written.
    """

    def __init__(self, model: type[StripeObject], using: str) -> None:
        super().__init__(model, using)
        self.kind, self.model = model.kind, model
        # The first branch of a union, so that its columns have their types from the table.
        constants = {
            "as_of": "CAST(%s AS bigint)",
            "rank": "CAST(%s AS smallint)",
            "deleted": "TRUE",
        }
        self.removal = ", ".join(
            constants.get(f.attname, self.quote(str(f.column))) for f in self.fields
        )
        self.doubted = self._places_of_doubt()
        self.differs = f"t.data {'IS NOT' if self.is_sqlite else 'IS DISTINCT FROM'} excluded.data"
        self.told = self._conflict(self._changes())
        self.mixed = self._conflict(self._changes_or_tombstone())
        self.quiet = self._conflict(
            self._changes_or_tombstone(), f" AND ({IS_NEWS} OR {self.differs})"
        )

    def write(self, rows: Sequence[dict[str, Any]], *, quiet: bool = False) -> set[str]:
        """Rows of different ids, in key order; answers the ids written. ``quiet``: from a list,
        which is as new as any that was read before."""
        fetch_at = self._fetch_at()
        if quiet:
            return self.execute(rows, self.quiet, fetch_at)
        conflict = self.mixed if any(row["deleted"] for row in rows) else self.told
        batch = [self._doubted(row, fetch_at) for row in rows]
        return self._in_batches(batch, self.doubted, conflict, fetch_at)

    def replace(
        self,
        rows: Sequence[dict[str, Any]],
        *,
        stamp: tuple[int, int],
        link: str,
        owners: Sequence[str],
    ) -> set[str]:
        """The same for children told whole: in the same statement, those that their ``owners``
        (in the column ``link``) no longer name are gone as of ``stamp``, unless they are newer
        news."""
        named, fetch_at = [row["stripe_id"] for row in rows], self._fetch_at()
        branches, params = [self._missing(link, owners, named)], [*stamp, *owners, *named]
        written: set[str] = set()
        for row in rows:
            branches.append(f"SELECT {self.doubted}")
            params += self._doubted(row, fetch_at)
            if len(branches) == UNION_ROWS:
                written |= self._union(branches, [*params, fetch_at])
                branches, params = [self._none()], []
        return written | self._union(branches, [*params, fetch_at])

    def _union(self, branches: list[str], params: list[Any]) -> set[str]:
        source = " UNION ALL ".join(branches)
        return self.run(f"{source} ORDER BY {1 + self._at('stripe_id')}", params, self.mixed)

    def _missing(self, link: str, owners: Sequence[str], named: Sequence[str]) -> str:
        (column,) = self._columns([link])
        where = f"{column} IN ({_places(owners)}) AND NOT deleted"
        where += f" AND stripe_id NOT IN ({_places(named)})" if named else ""
        return f"SELECT {self.removal} FROM {self.table} WHERE {where}"  # noqa: S608

    def _none(self) -> str:
        return f"SELECT {self.columns} FROM {self.table} WHERE 1 = 0"  # noqa: S608

    def _conflict(self, changes: list[str], unless: str = "") -> str:
        key = self.quote("stripe_id")
        guard = GUARD.format(again="" if self.model.id_prefix else AGAIN)
        assigned = ", ".join(changes)
        return f"({key}) DO UPDATE SET {assigned} WHERE ({guard}){unless} RETURNING {key}"

    def _changes(self) -> list[str]:
        """Assignments when an object is told."""
        return [
            *(f"{name} = excluded.{name}" for name in self._columns(GUARDED)),
            *(f"{name} = excluded.{name}" for name in self._columns(self._told())),
            *self._doubt(),
        ]

    def _changes_or_tombstone(self) -> list[str]:
        """The same, or when it is said to be gone: what was known of it stays."""
        kept = "CASE WHEN excluded.deleted AND t.as_of IS NOT NULL THEN t.{0} ELSE excluded.{0} END"
        given_up = "excluded.deleted" + ("" if self.model.vanishes else " AND excluded.rank >= 3")
        clears = f"CASE WHEN {given_up} THEN NULL ELSE t.{{0}} END"
        stamp = ("as_of", "rank", "deleted")
        return [
            *(f"{name} = excluded.{name}" for name in self._columns(stamp)),
            *(
                f"{name} = {kept.format(name)}"
                for name in self._columns({*GUARDED, *self._told()} - {*stamp})
            ),
            *(f"{n} = {clears.format(n)}" for n in self._columns(self.model.tombstone_clears)),
            *self._doubt(),
        ]

    def _told(self) -> list[str]:
        return list(self.model.columns({"id": ""}))

    def _columns(self, attnames: Collection[str]) -> list[str]:
        return [self.quote(str(f.column)) for f in self.fields if f.attname in attnames]

    def _doubt(self) -> list[str]:
        """Two versions that cannot be ordered raise it, and so does old news that says something
        else; news from after it settles it."""
        raised = f"({TIED} OR excluded.doubt_as_of IS NOT NULL) AND {self.differs} AND NOT {FINAL}"
        return [
            f"{name} = CASE WHEN {raised} THEN {value} WHEN {SETTLED} THEN excluded.{name}"
            f" ELSE t.{name} END"
            for name, value in (
                ("fetch_at", "%s"),
                ("doubt_as_of", LATER_DOUBT),
                ("fetch_attempts", "0"),
            )
        ]

    def _places_of_doubt(self) -> str:
        """The places of a row that is in doubt if it is OVERTAKEN."""
        places = ["%s"] * len(self.fields)
        bigint, moment = (
            ("%s", "%s") if self.is_sqlite else ("CAST(%s AS bigint)", "CAST(%s AS timestamptz)")
        )
        kind = self.kind.replace("'", "''").replace("%", "%%")
        names = {"sync": self.quote(Sync._meta.db_table), "kind": kind, "as_of": bigint}
        fetch_at = f"COALESCE({OVERTAKEN.format(value=moment, **names)}, {moment})"
        places[self._at("fetch_at")] = fetch_at
        places[self._at("doubt_as_of")] = OVERTAKEN.format(value=bigint, **names)
        return ", ".join(places)

    def _doubted(self, row: dict[str, Any], fetch_at: Any) -> list[Any]:
        """A row's parameters for ``doubted``."""
        params = self.adapt(row)
        # Nothing more is to be learnt of what Stripe has said to be deleted.
        is_final = row["deleted"] and row["rank"] >= Rank.DELETED
        before = NEVER if is_final else row["as_of"]
        fetch, doubt = self._at("fetch_at"), self._at("doubt_as_of")
        params[doubt : doubt + 1] = [row["as_of"], before, before]
        params[fetch : fetch + 1] = [fetch_at, before, before, params[fetch]]
        return params

    def _at(self, attname: str) -> int:
        return self.names.index(attname)

    def _fetch_at(self) -> Any:
        """The moment at which a tie is to be settled; never, of what cannot be fetched."""
        second = int(timezone.now().timestamp())
        return _soon(self.using, second) if self.model.collection else None


# A new one every second is enough, and spares each row the making of one.
@lru_cache(maxsize=8)
def _soon(using: str, second: int) -> Any:
    # That second may be nearly over.
    moment = datetime.fromtimestamp(second + 1, UTC) + FETCH_DELAY
    return connections[using].ops.adapt_datetimefield_value(moment)


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


@cache
def upsert_statement(model: type[StripeObject], using: str) -> Upsert:
    return Upsert(model, using)


@cache
def insert_statement(model: type[models.Model], using: str) -> Statement:
    return Statement(model, using)


def insert_new(
    model: type[models.Model], rows: Sequence[dict[str, Any]], *, using: str
) -> set[str]:
    """Insert rows (keyed by ``stripe_id``) that are not there yet; answers the new ones' keys."""
    return insert_statement(model, using).execute(rows, "DO NOTHING RETURNING stripe_id")
