"""One site's process, ours or the rival's: carries out what it reads, one JSON line after another.

The same code on either side, so that what is compared is what the sites do. Needs Django and the
standard library only.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import connection
from django.utils.module_loading import import_string

from benchmarks import counting, writes
from benchmarks.bodies.events import signature


class Site:
    """What can be asked of a site; every answer is JSON."""

    def __init__(self) -> None:
        self.handler = WSGIHandler()
        got_request_exception.connect(_say, weak=False)

    def deliver(self, *, path: str, bodies: list[str]) -> dict[str, Any]:
        """Post bodies, signed now, one after another; every one has to be accepted."""
        requests = [_environ(path, body.encode()) for body in bodies]
        answer, statuses = _timed(lambda: [self._respond(request) for request in requests])
        assert {*statuses} == {"200 OK"}, statuses
        return answer

    def count(self, *, path: str, bodies: list[str]) -> dict[str, Any]:
        """The same, slower, with what was sent to the database."""
        with counting.counted(connection) as found:
            self.deliver(path=path, bodies=bodies)
        return found.as_json()

    def command(self, *, name: str, args: list[str], options: dict[str, Any]) -> dict[str, Any]:
        """A management command."""
        said = io.StringIO()
        answer, _ = _timed(lambda: call_command(name, *args, stdout=said, **options))
        return {**answer, "said": said.getvalue()[-2000:]}

    def counted_command(self, **given: Any) -> dict[str, Any]:
        """The same, slower, with what was sent to the database."""
        with counting.counted(connection) as found:
            answer = self.command(**given)
        return {**answer, **found.as_json()}

    def call(self, *, function: str, **given: Any) -> Any:
        """Whatever a module has to do on this side."""
        return import_string(function)(**given)

    def rows(self, *, prefix: str) -> dict[str, int]:
        """How many rows each table has whose name begins so."""
        return writes.rows(prefix)

    def watch(self, *, tables: list[str]) -> None:
        """From now on, note which rows are written."""
        self.watched = writes.Watch(tables)

    def written(self) -> dict[str, int]:
        """Rows written since."""
        return self.watched.written()

    def _respond(self, environ: dict[str, Any]) -> str:
        found: list[str] = []
        response = self.handler(environ, lambda status, headers: found.append(status))
        for _ in response:
            pass
        # As servers do: Django ends the request here, and keeps or closes its connection.
        response.close()
        return found[0]


def _environ(path: str, body: bytes) -> dict[str, Any]:
    """What a WSGI server would make of a delivery."""
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json; charset=utf-8",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "testserver",
        "HTTP_ACCEPT": "*/*; q=0.5, application/xml",
        "HTTP_CACHE_CONTROL": "no-cache",
        "HTTP_USER_AGENT": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "HTTP_STRIPE_SIGNATURE": signature(body),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _say(**kwargs: Any) -> None:
    """Why a request failed: nobody else would tell."""
    traceback.print_exc(file=sys.stderr)


def _timed(action: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    wall, processor = time.perf_counter(), time.process_time()
    answer = action()
    times = {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - processor,
    }
    return times, answer


def main() -> None:
    """Until standard input ends. Nothing but answers may come to standard output."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with redirect_stdout(sys.stderr):
        django.setup()
        site = Site()
        for line in sys.stdin:
            asked = json.loads(line)
            answer = getattr(site, asked.pop("do"))(**asked)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
