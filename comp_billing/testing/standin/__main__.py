"""`python -m comp_billing.testing.standin`: the stand-in as a process of its own."""

import argparse
import sys

from comp_billing.testing.standin.server import Server
from comp_billing.testing.standin.world import StandIn


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m comp_billing.testing.standin",
        description="A stand-in for Stripe, test mode.",
    )
    result.add_argument("--host", default="127.0.0.1")
    result.add_argument("--port", type=int, default=12111, help="0 takes any free port")
    result.add_argument("--state", default=":memory:", help="a file that survives restarts")
    result.add_argument(
        "--webhook",
        action="append",
        default=[],
        metavar="URL",
        help="an address that all events are sent to; may be repeated",
    )
    result.add_argument("--secret", default=None, help="the signing secret of those addresses")
    result.add_argument(
        "--thin-webhook", metavar="URL", help="where thin events go instead; for one --webhook"
    )
    result.add_argument("--thin-secret", help="the signing secret of that address")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Serves until interrupted; exit status 2 if the port is taken."""
    options = parser().parse_args(arguments)
    try:
        server = Server(StandIn(options.state), options.host, options.port)
    except OSError as problem:
        sys.stderr.write(f"Port {options.port} cannot be used: {problem.strerror}.\n")
        return 2
    for url in options.webhook:
        secret = server.world.add_webhook(
            url,
            secret=options.secret,
            thin_url=options.thin_webhook,
            thin_secret=options.thin_secret,
        )
        sys.stdout.write(f"webhook {url} secret {secret}\n")
    sys.stdout.write(f"stand-in for Stripe on {server.base_url}\n")
    sys.stdout.flush()
    server.world.deliveries.start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
        server.world.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
