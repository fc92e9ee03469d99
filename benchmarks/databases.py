"""Databases to measure on: each a copy of one that has been migrated, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.core.management import call_command
from django.db import connection, connections

ALIAS = "default"
URL_VARIABLE = "COMP_TEST_DATABASE_URL"


class Copy:
    """One database. ``use`` makes it the site's, for the thread that calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wrapper = self._wrapper()

    def _wrapper(self) -> Any:
        wrapper: Any = connections.create_connection(ALIAS)
        wrapper.settings_dict = {**wrapper.settings_dict, "NAME": self.name}
        return wrapper

    def use(self) -> None:
        connections[ALIAS] = self.wrapper

    @contextmanager
    def in_thread(self) -> Iterator[None]:
        """A connection of its own for the thread that calls."""
        connections[ALIAS] = self._wrapper()
        yield
        connections[ALIAS].close()

    def environment(self) -> dict[str, str]:
        """For processes that are to work on this database."""
        if connection.vendor == "sqlite":
            return {**os.environ, "COMP_TEST_SQLITE": self.name}
        url = urlsplit(os.environ[URL_VARIABLE])._replace(path=f"/{self.name}")
        return {**os.environ, URL_VARIABLE: urlunsplit(url)}


class Databases:
    """Makes copies of a migrated database; removes them all at the end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = connections[ALIAS]
        self.made: list[Copy] = []
        # Databases that several benchmarks start from, by what is in them.
        self.kept: dict[str, Copy] = {}
        self.template = self.empty("template")
        self.template.use()
        call_command("migrate", verbosity=0)
        self.template.wrapper.close()

    def copy(self, label: str, *, of: Copy | None = None) -> Copy:
        """A fresh database in the state after migrate, in use; or a copy of another one, which
        nobody may be connected to."""
        made = self._new(label, template=(of or self.template).name)
        made.use()
        return made

    def empty(self, label: str) -> Copy:
        """A database without any tables, not in use."""
        return self._new(label)

    def _new(self, label: str, *, template: str = "") -> Copy:
        name = f"comp_bench_{os.getpid()}_{len(self.made)}_{label}"
        if self.server.vendor == "sqlite":
            name = str(self.directory / f"{name}.sqlite3")
            if template:
                shutil.copyfile(template, name)
        else:
            like = f' TEMPLATE "{template}"' if template else ""
            self._on_server(f'CREATE DATABASE "{name}"{like}')
        self.made.append(Copy(name))
        return self.made[-1]

    def _on_server(self, sql: str) -> None:
        with self.server.cursor() as cursor:
            cursor.execute(sql)

    def remove(self) -> None:
        connections[ALIAS] = self.server
        for copy in self.made:
            copy.wrapper.close()
            if self.server.vendor == "postgresql":
                self._on_server(f'DROP DATABASE "{copy.name}" WITH (FORCE)')
        self.server.close()


@contextmanager
def databases() -> Iterator[Databases]:
    """The databases of one benchmark run."""
    with tempfile.TemporaryDirectory(prefix="comp-bench-") as directory:
        made = Databases(Path(directory))
        try:
            yield made
        finally:
            made.remove()
