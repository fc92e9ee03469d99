"""A whole site for a test: stand-in, web server and worker, real processes on either database."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import stripe
from demo.processes import HOST, Processes, free_port
from demo.site import SECRET_KEY, start_site
from demo.visitor import Visitor

from comp_billing.testing import StandInControl

WAIT_SECONDS = 90


class Site:
    """What a test can do to a running site from outside: visit it, and act as Stripe."""

    def __init__(self, url: str, control: StandInControl, processes: Processes) -> None:
        self.url = url
        self.control = control
        self.processes = processes

    def visitor(self) -> Visitor:
        return Visitor(self.url)

    def stripe(self) -> stripe.StripeClient:
        """The SDK, as an operator's script would use it."""
        return stripe.StripeClient(SECRET_KEY, base_addresses={"api": self.control.base_url})

    def until(self, arrived: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not arrived():
            self.processes.check()
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.2)


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """A fresh site in a folder, on the kind of database that the test run is about."""
    with fresh_database(folder) as database_url, Processes(folder) as processes:
        processes.environment.pop("DJANGO_SETTINGS_MODULE", None)
        processes.environment |= {"DATABASE_URL": database_url, "COMP_DEMO_DIR": str(folder)}
        processes.manage("migrate", "--verbosity", "0")
        url = f"http://{HOST}:{free_port()}"
        yield Site(url, start_site(processes, url), processes)


@contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """The address of an empty database: a file, or one of the test server's own."""
    if os.environ.get("COMP_TEST_DB", "sqlite") != "postgres":
        yield f"sqlite:///{folder / 'site.sqlite3'}"
        return
    server = os.environ["COMP_TEST_DATABASE_URL"]
    name = f"site_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
