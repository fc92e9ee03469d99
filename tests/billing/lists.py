"""Builders for the tests of whole lists: an account at Stripe, and what of it is here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from comp_billing import mirror, stripe_api
from comp_billing.models import StripeObject
from comp_billing.sync import accounts, bulk, pacing
from comp_billing.testing import StandIn, StandInClient
from comp_core import crashpoints
from tests.billing.standin_rig import Account, in_process

Rows = dict[str, Any]
TARGET = re.compile(r'\b(?:INTO|UPDATE|FROM) "(\w+)"')


@pytest.fixture
def lists(
    stripe_standin: StandIn, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """An empty account at Stripe, of which nothing is here but that it is ours; pages of three
    objects. Its key has been asked whose it is, which is one call for each process."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "SYNC_REQUESTS_PER_SECOND": 100_000}
    monkeypatch.setattr(stripe_api, "PAGE_SIZE", 3)
    monkeypatch.setattr(pacing, "_pause", lambda attempt, exc: 0.0)
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        accounts.check()
        stripe_standin.calls.clear()
        yield in_process(stripe_standin)


def products(account: Account, count: int) -> list[str]:
    """Ids of new products, oldest first."""
    return [account.v1.products.create({"name": f"Model {n}"}).id for n in range(count)]


def sync(*kinds: str, verbosity: int = 1, **options: Any) -> str:
    """What the command says."""
    out = StringIO()
    call_command("comp_sync_stripe", *kinds, stdout=out, verbosity=verbosity, **options)
    return out.getvalue()


def calls(account: Account) -> int:
    """How many calls were made since this was last asked."""
    number = sum(account.world.calls.values())
    account.world.calls.clear()
    return number


def here(model: type[StripeObject]) -> Rows:
    """{id: columns} of the live rows."""
    return {row.pk: _columns(model, row.data) for row in model.objects.all()}


def there(account: Account, model: type[StripeObject]) -> Rows:
    """{id: columns} of what exists at Stripe."""
    found = account.world.store.where(model.kind)
    return {obj["id"]: _columns(model, obj) for obj in found if not obj.get("deleted")}


def _columns(model: type[StripeObject], data: Rows) -> Rows:
    return {name: str(value) for name, value in model.columns(data).items()}


def divergent(account: Account) -> list[str]:
    """The kinds of which what is here is not what exists at Stripe."""
    return [kind for kind, model in mirror.KINDS.items() if here(model) != there(account, model)]


# -- interruptions


class Died(Exception):
    """The process ends here."""


@contextmanager
def dying(point: str, *, passes: int = 0) -> Iterator[None]:
    """The process dies at a crash point, after having passed it so often."""
    left = [passes]

    def hook(name: str) -> None:
        if name == point:
            left[0] -= 1
            if left[0] < 0:
                raise Died

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Died):
        patch.setattr(crashpoints, "hook", hook)
        yield


@contextmanager
def before_page(number: int, action: Callable[[], object]) -> Iterator[None]:
    """Something happens before the n-th page from now is asked for."""
    asked, read_page = [0], bulk.read_page

    def read(*args: Any, **kwargs: Any) -> Any:
        asked[0] += 1
        if asked[0] == number:
            action()
        return read_page(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "read_page", read)
        yield


# -- what the database is asked to do


@dataclass
class Statements:
    """Statements by table; the beginnings and ends of transactions aside."""

    made: list[str] = field(default_factory=list)

    def of(self, model: type[Any]) -> int:
        """How many write a table, or read it first of all."""
        return sum(TARGET.findall(sql)[:1] == [model._meta.db_table] for sql in self.made)


@contextmanager
def statements() -> Iterator[Statements]:
    found = Statements()
    with CaptureQueriesContext(connection) as captured:
        yield found
    heads = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    found.made = [q["sql"] for q in captured if not q["sql"].startswith(heads)]


@contextmanager
def rows_written() -> Iterator[list[str]]:
    """Tables of proxies whose rows are written meanwhile, as the database itself has it: once for
    each row that is there afterwards."""
    written: list[str] = []
    tables = [model._meta.db_table for model in mirror.KINDS.values()]
    count = _by_trigger if connection.vendor == "sqlite" else _by_version
    with count(tables, written):
        yield written


@contextmanager
def _by_version(tables: list[str], written: list[str]) -> Iterator[None]:
    """PostgreSQL: a row that was written has another xmin, or none before."""
    before = _versions(tables)
    yield
    written += [table for table, _ in sorted(_versions(tables) - before)]


def _versions(tables: list[str]) -> set[tuple[str, str]]:
    with connection.cursor() as cursor:
        found = set()
        for table in tables:
            cursor.execute(f"SELECT stripe_id || ' ' || xmin || ' ' || ctid FROM {table}")  # noqa: S608
            found |= {(table, key) for (key,) in cursor.fetchall()}
        return found


@contextmanager
def _by_trigger(tables: list[str], written: list[str]) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE written (tab TEXT, id TEXT, UNIQUE (tab, id))")
        for table in tables:
            note = f"INSERT OR IGNORE INTO written VALUES ('{table}', new.stripe_id)"  # noqa: S608
            for deed in ("INSERT", "UPDATE"):
                head = f"CREATE TEMP TRIGGER {deed}_{table} AFTER {deed} ON {table}"
                cursor.execute(f"{head} BEGIN {note}; END")
        yield
        cursor.execute("SELECT tab FROM written ORDER BY tab")
        written += [table for (table,) in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"DROP TRIGGER INSERT_{table}")
            cursor.execute(f"DROP TRIGGER UPDATE_{table}")
        cursor.execute("DROP TABLE temp.written")
