"""The guarded statements, built from a model's metadata; PostgreSQL and SQLite (3.35 or later)."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

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
        self.model = model
        self.using = using
        self.fields = list(model._meta.concrete_fields)
        self.batch_rows = max(1, self.connection.ops.bulk_batch_size(self.fields, [None] * 1000))

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """This thread's; statements are shared by threads, connections are not."""
        return connections[self.using]

    def quote(self, name: str) -> str:
        return self.connection.ops.quote_name(name)

    @property
    def table(self) -> str:
        return self.quote(self.model._meta.db_table)

    def execute(self, rows: Sequence[dict[str, Any]], conflict: str) -> set[str]:
        """Insert rows ({attname: value}); answers the keys of those inserted or updated."""
        written: set[str] = set()
        for start in range(0, len(rows), self.batch_rows):
            batch = rows[start : start + self.batch_rows]
            params = [value for values in batch for value in self.adapt(values)]
            with self.connection.cursor() as cursor:
                cursor.execute(self.sql(len(batch), conflict), params)
                written.update(key for (key,) in cursor.fetchall())
        return written

    def sql(self, rows: int, conflict: str) -> str:
        columns = ", ".join(self.quote(str(field.column)) for field in self.fields)
        row = "(" + ", ".join(["%s"] * len(self.fields)) + ")"
        return (
            # Names from the models' metadata, quoted; values are parameters.
            f"INSERT INTO {self.table} ({columns})"  # noqa: S608
            f" VALUES {', '.join([row] * rows)} ON CONFLICT {conflict}"
            f" RETURNING {self.quote('stripe_id')}"
        )

    def adapt(self, values: dict[str, Any]) -> Iterator[Any]:
        """A row's values as the driver wants them; columns not given get their defaults."""
        for field in self.fields:
            value = values[field.attname] if field.attname in values else field.get_default()
            yield field.get_db_prep_save(self.fit(field, value), connection=self.connection)

    def fit(self, field: models.Field[Any, Any], value: Any) -> Any:
        """Cut text to its column; drop a number that the column cannot hold."""
        if isinstance(field, models.CharField) and field.max_length and isinstance(value, str):
            return value[: field.max_length]
        if isinstance(field, models.IntegerField) and isinstance(value, int):
            low, high = self.connection.ops.integer_field_range(field.get_internal_type())
            return value if (low or value) <= value <= (high or value) else None
        return value


class Upsert(Statement):
    """The guarded upsert of one kind. Two forms: an object, and the news that it is gone."""

    model: type[StripeObject]

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
        return f"({self.quote('stripe_id')}) DO UPDATE SET {changes} WHERE " + GUARD.format(
            t=self.table
        )


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
    return insert_statement(model, using).execute(rows, "DO NOTHING")
