"""The stand-in over HTTP: Stripe's API, the control API and the hosted pages on one port."""

import logging
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from comp_billing.testing.standin import controls, pages
from comp_billing.testing.standin.faults import Dropped
from comp_billing.testing.standin.world import Reply, StandIn

log = logging.getLogger(__name__)
CONTROL = "/_standin/"
BROKEN = '{"error": {"type": "api_error", "message": "The stand-in itself failed: see its log."}}'


class Handler(BaseHTTPRequestHandler):
    """One connection; kept open between requests."""

    protocol_version = "HTTP/1.1"
    # headers and body leave in one packet: without it every answer waits 40 ms for an ACK
    wbufsize = -1
    server: "Server"

    def setup(self) -> None:
        """No waiting for more to send."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        verb, headers = self.command, dict(self.headers.items())
        try:
            reply = self._route(verb, headers, body)
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        except Exception:
            log.exception("The stand-in failed on %s %s", verb, self.path)
            reply = Reply(500, BROKEN, {"Stripe-Should-Retry": "false"})
        self._send(reply)

    def _route(self, verb: str, headers: dict[str, str], body: bytes) -> Reply:
        world = self.server.world
        if not self.path.startswith(CONTROL):
            return world.handle(verb, self.path, headers, body)
        inner = self.path.removeprefix(CONTROL)
        if pages.is_page(inner):
            return pages.answer(world, verb, inner, body)
        return controls.answer(world, verb, inner, body)

    def _send(self, reply: Reply) -> None:
        content = reply.body.encode()
        self.send_response_only(reply.status)
        if "Date" not in reply.headers:
            self.send_header("Date", self.date_time_string())
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815  names of the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Nothing on standard error."""


class Server(ThreadingHTTPServer):
    """A stand-in listening; `with serving(...)` or `serve_forever()`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, world: StandIn, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.world = world
        world.base_url = self.base_url

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to tell of."""
        log.debug("Connection from %s broke", client_address, exc_info=True)

    @property
    def base_url(self) -> str:
        """Where it is reached, without a slash at the end."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def start(self) -> "Server":
        """Requests answered and webhooks sent by background threads."""
        serve = partial(self.serve_forever, poll_interval=0.02)
        threading.Thread(target=serve, name="standin", daemon=True).start()
        self.world.deliveries.start()
        return self

    def stop(self) -> None:
        """No longer listening; the state closed."""
        self.shutdown()
        self.server_close()
        self.world.close()
