"""``python -m tests.hostile_webhooks.server``: the site in a web server of its own.

It prints its port, and tells the largest memory that it has ever needed at ``/peak``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.core.wsgi import get_wsgi_application


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, which ends with it."""

    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    """Says nothing; waits ten seconds for what a client owes."""

    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as it is called
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            # The client is gone, or has gone silent.
            self.close_connection = True


def peak_kib() -> int:
    """The largest resident memory of this process so far, in KiB."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    site = get_wsgi_application()

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/peak":
            start("200 OK", [("Content-Type", "text/plain")])
            return [str(peak_kib()).encode()]
        return site(environ, start)

    with Server(("127.0.0.1", 0), Handler) as server:
        server.set_app(application)
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
