"""The processes of a running site: Stripe's stand-in, the web server and the worker."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from demo.exceptions import DemoError, PortTaken
from demo.folder import remember

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 10
# Of the site's variables those that say where its data is, whoever set them.
FROM_OUTSIDE = ("DATABASE_URL", "MEDIA_ROOT", "SECRET_KEY")
MANAGE = Path(__file__).resolve().parent.parent / "manage.py"


def free_port() -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Raise PortTaken when another program listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(port) from error


class Processes:
    """Children of the demonstration: started with one environment, logged to files, and ended
    together however the demonstration ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = dict(os.environ)
        self._told: set[str] = set()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def log_path(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def tell(self, variables: dict[str, str]) -> None:
        """Set environment variables of the children that are started from now on."""
        self.environment |= variables
        self._told |= variables.keys()

    def write_environment(self) -> Path:
        """A file for the shell with what the site is started with: whoever reads it (``. FILE``)
        can run commands on the site. For its owner only."""
        path = self.folder / "environment"
        path.touch(0o600)
        path.chmod(0o600)
        told = {
            key: self.environment[key]
            for key in (*self._told, *FROM_OUTSIDE)
            if key in self.environment
        }
        lines = [f"export {key}={shlex.quote(value)}\n" for key, value in sorted(told.items())]
        path.write_text("".join(lines))
        return path

    def start(self, name: str, *arguments: str) -> None:
        """Start a Python child; its output goes to the log of that name."""
        with self.log_path(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                # Ctrl+C reaches us alone; we then end the children in order.
                start_new_session=True,
            )
        remember(self.folder, [process.pid for process in self._running.values()])

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end and answer what it printed."""
        result = subprocess.run(
            [sys.executable, str(MANAGE), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise DemoError(f"{arguments[0]} failed:\n{result.stdout}{result.stderr}")
        return result.stdout

    def check(self) -> None:
        """Raise with the end of its log when a child has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                tail = self.log_path(name).read_text(errors="replace")[-2000:]
                raise DemoError(f"The {name} stopped (exit status {process.returncode}):\n{tail}")

    def wait_for(self, url: str) -> None:
        """Return once an address answers, whatever it answers."""
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{url} did not answer within {START_SECONDS} seconds.")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the children, the last started first; kill those that take too long."""
        for process in reversed(self._running.values()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        remember(self.folder, [])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # our own loopback address
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM raises KeyboardInterrupt and later ones are ignored.

    Impatient fingers, and tools that pass a signal on that the terminal has sent already, would
    otherwise interrupt the ending of the children and leave them behind.
    """

    def interrupt(number: int, frame: object) -> None:
        for each in previous:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in previous:
        signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
