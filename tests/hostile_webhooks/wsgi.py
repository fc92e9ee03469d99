"""Attempts through the site's real WSGI handler, without a socket in between."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from django.apps import apps
from django.core.handlers.wsgi import WSGIHandler

from comp_billing.models import Event
from tests.hostile_webhooks.attempts import Attempt

# An answer that is no fault of ours and stores nothing; for what is rightly signed, 200 beside it.
CALM = {400, 405, 413}


@dataclass
class Tally:
    """How many were tried, what was answered, and what was not as it should be."""

    tried: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """Answers of 500 and above."""
        return sum(count for status, count in self.answers.items() if status >= 500)

    def add(self, attempt: Attempt, status: int, *, new_events: int) -> None:
        self.tried += 1
        self.answers[status] += 1
        allowed = CALM | {200} if attempt.is_stripes else CALM
        stored = new_events if status != 200 else 0
        if status not in allowed or stored or new_events > 1:
            self.wrong.append(f"{status}, {new_events} events: {attempt!r}"[:500])

    def line(self, kind: str, *, rows: int) -> str:
        return f"{kind}: requests tried / 5xx / rows = {self.tried} / {self.faults} / {rows}"


def rows() -> int:
    """Rows of all tables together."""
    return sum(model._base_manager.count() for model in apps.get_models() if model._meta.managed)


def environ_of(attempt: Attempt, stream: BinaryIO | None = None) -> dict[str, Any]:
    """The WSGI environment of an attempt, its headers as a server passes them on."""
    declared = str(len(attempt.body)) if attempt.length is None else attempt.length
    environ = {
        "REQUEST_METHOD": attempt.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": attempt.address,
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": attempt.host,
        "CONTENT_TYPE": attempt.content_type,
        "CONTENT_LENGTH": declared,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": stream or io.BytesIO(attempt.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if attempt.signature is not None:
        environ["HTTP_STRIPE_SIGNATURE"] = attempt.signature
    return environ


def send(handler: WSGIHandler, attempt: Attempt, stream: BinaryIO | None = None) -> int:
    """The status of the answer, which is read to its end."""
    said: list[str] = []
    response = handler(environ_of(attempt, stream), lambda status, _headers: said.append(status))
    b"".join(response)
    response.close()
    return int(said[0].split()[0])


def try_all(attempts: Iterable[Attempt]) -> Tally:
    """All attempts one after the other, each seen to store what it may."""
    handler, tally = WSGIHandler(), Tally()
    before = Event.objects.count()
    for attempt in attempts:
        status = send(handler, attempt)
        after = Event.objects.count() if attempt.is_stripes else before
        tally.add(attempt, status, new_events=after - before)
        before = after
    return tally
