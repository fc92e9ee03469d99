"""The guarded statements, built from a model's metadata; PostgreSQL and SQLite (3.35 or later)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.operations import BaseDatabaseOperations

from comp_billing.models import StripeObject

GUARDED = ("data", "livemode", "api_version", "as_of", "rank", "deleted")


class Rank(enum.IntEnum):
    """Which of two versions said in the same second is the later one."""

    # A page of a list, or the answer to a call of ours: stamped with the response's Date.
    LIST = 0
    # An event of type *.created.
    CREATED = 1
    # Any other event.
    EVENT = 2
    # An event of type *.deleted: nothing follows it.
    DELETED = 3


# Newer or equally new wins, so the later arrival of two that are equally new. (When they differ,
# that is a guess: the place for marking the row to be fetched again.) A tombstone told by Stripe
# (rank 3) stays; an item that was only missing from its subscription comes back with newer news.
GUARD = (
    "{t}.as_of IS NULL OR (({t}.as_of, {t}.rank) <= (excluded.as_of, excluded.rank)"
    " AND NOT ({t}.deleted AND {t}.rank >= 3 AND NOT excluded.deleted))"
)


class Statement:
    """``INSERT … ON CONFLICT`` for one model on one database."""

    def __init__(self, model: type[models.Model], using: str) -> None:
        # Shared by threads, so nothing of this thread's connection may be kept but its dialect.
        connection = connections[using]
        self.using = using
        self.fields = list(model._meta.concrete_fields)
        self.batch_rows = max(1, connection.ops.bulk_batch_size(self.fields, [None] * 1000))
        self.quote = connection.ops.quote_name
        self.table = self.quote(model._meta.db_table)
        self.fits = [_fitting(field) for field in self.fields]
        columns = ", ".join(self.quote(str(field.column)) for field in self.fields)
        # Names from the model's metadata, quoted; values are parameters.
        self.insert = f"INSERT INTO {self.table} ({columns}) VALUES "  # noqa: S608
        self.row = "(" + ", ".join(["%s"] * len(self.fields)) + ")"

    def execute(self, rows: Sequence[dict[str, Any]], conflict: str) -> set[str]:
        """Insert rows ({attname: value}); answers the keys of those inserted or updated."""
        connection = connections[self.using]
        written: set[str] = set()
        for start in range(0, len(rows), self.batch_rows):
            batch = rows[start : start + self.batch_rows]
            params = [value for values in batch for value in self.adapt(values, connection)]
            with connection.cursor() as cursor:
                places = ", ".join([self.row] * len(batch))
                cursor.execute(f"{self.insert}{places} ON CONFLICT {conflict}", params)
                written.update(key for (key,) in cursor.fetchall())
        return written

    def adapt(self, values: dict[str, Any], connection: BaseDatabaseWrapper) -> Iterator[Any]:
        """A row's values as the driver wants them; columns not given get their defaults."""
        for field, fit in zip(self.fields, self.fits, strict=True):
            value = values[field.attname] if field.attname in values else field.get_default()
            yield field.get_db_prep_save(fit(value), connection=connection)


def _fitting(field: models.Field[Any, Any]) -> Callable[[Any], Any]:
    """Cuts text to its column, and drops a number that the column cannot hold."""
    if isinstance(field, models.CharField) and field.max_length:
        return partial(_cut, field.max_length)
    # The same on every database: SQLite itself would hold more.
    bounds = BaseDatabaseOperations.integer_field_ranges.get(field.get_internal_type())
    if bounds:
        return partial(_bound, *bounds)
    return _as_it_is


def _cut(length: int, value: Any) -> Any:
    return value[:length] if isinstance(value, str) else value


def _bound(low: int, high: int, value: Any) -> Any:
    if not isinstance(value, int):
        return value
    return value if low <= value <= high else None


def _as_it_is(value: Any) -> Any:
    return value


class Upsert(Statement):
    """The guarded upsert of one kind. Two forms: an object, and the news that it is gone."""

    def __init__(self, model: type[StripeObject], using: str) -> None:
        super().__init__(model, using)
        told = {*GUARDED, *model.columns({"id": ""})}
        column = {f.attname: self.quote(str(f.column)) for f in self.fields}
        news = {attname: f"excluded.{name}" for attname, name in column.items()}
        self.conflict = self._conflict({column[a]: news[a] for a in column if a in told})
        # The last JSON and its columns stay readable on the tombstone of an object that we knew.
        known = f"CASE WHEN {self.table}.as_of IS NULL THEN {{}} ELSE {self.table}.{{}} END"
        self.tombstone = self._conflict(
            {
                column["data"]: known.format(news["data"], column["data"]),
                **{column[a]: news[a] for a in ("as_of", "rank", "deleted")},
                **{column[a]: "NULL" for a in model.tombstone_clears},
            }
        )

    def _conflict(self, assignments: dict[str, str]) -> str:
        changes = ", ".join(f"{column} = {value}" for column, value in assignments.items())
        key, guard = self.quote("stripe_id"), GUARD.format(t=self.table)
        return f"({key}) DO UPDATE SET {changes} WHERE {guard} RETURNING {key}"


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
