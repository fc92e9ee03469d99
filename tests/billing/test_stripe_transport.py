"""Answers over real HTTP: read once, whole, and whatever they hold."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from comp_billing import stripe_api
from comp_billing.exceptions import StripeError, StripeRefused, StripeUnavailable

REFUSAL = b'{"error": {"type": "invalid_request_error", "code": "resource_missing", "message": ""}}'

GOOD = {"id": "cus_1", "name": "éé", "n": 1.5}


class Stub(BaseHTTPRequestHandler):
    """Answers every request with ``status`` and ``body``."""

    protocol_version = "HTTP/1.1"
    status = 200
    body = b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.send_header("Request-Id", "req_1")
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@pytest.fixture
def stub(settings: Any) -> Iterator[type[Stub]]:
    """Where Stripe should be."""

    class Answering(Stub):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.COMP_BILLING = {
        **settings.COMP_BILLING,
        "API_BASE": f"http://127.0.0.1:{server.server_port}",
        "NETWORK_RETRIES": 0,
    }
    yield Answering
    server.shutdown()
    thread.join()
    server.server_close()


def outcome() -> dict[str, Any] | type[StripeError]:
    """The answer's data, or what kind of error it was."""
    try:
        return stripe_api.call("get", "/v1/customers/cus_1").data
    except StripeError as exc:
        return type(exc)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"id": "cus_1", "name": "\\u00e9\xc3\xa9", "n": 1.5}', GOOD),
        (200, b"<html>a proxy's page</html>", StripeUnavailable),
        (200, b"", StripeUnavailable),
        (200, b"[1, 2]", StripeUnavailable),
        (200, b'{"name": "\xff"}', StripeUnavailable),
        (200, b'{"a":' * 100_000, StripeUnavailable),
        (404, REFUSAL, StripeRefused),
        (500, b"<html>", StripeUnavailable),
    ],
    ids=["good", "html", "empty", "list", "not UTF-8", "deep", "refusal", "fault"],
)
def test_an_answer_is_its_data_or_an_error_of_ours(
    stub: type[Stub], status: int, body: bytes, expected: Any
) -> None:
    """Never one of the parser's."""
    stub.status, stub.body = status, body
    assert outcome() == expected


def test_what_is_answered_is_in_no_log(stub: type[Stub], caplog: pytest.LogCaptureFixture) -> None:
    """Addresses and secrets, which the SDK would write there at its most talkative."""
    stub.body = b'{"id": "we_1", "secret": "whsec_of_an_endpoint", "email": "ada@example.org"}'
    with caplog.at_level(logging.DEBUG, logger="stripe"):
        data = stripe_api.call("get", "/v1/webhook_endpoints/we_1").data
    assert (data["secret"], "whsec" in caplog.text, "ada@" in caplog.text, bool(caplog.text)) == (
        "whsec_of_an_endpoint",
        False,
        False,
        True,
    )
