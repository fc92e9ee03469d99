"""Real Celery workers with the settings of the guide, and a Redis of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, signals
from redis import Redis, RedisError

from comp_core.compat import task
from comp_core.models import Worker
from tests.core.celery_settings import GUIDE, SETTINGS_CODE
from tests.core.live import ROOT, Live, wait_until

REDIS = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS is None, reason="there is no redis-server on this machine")
FAST = {
    "METER": "comp_billing.metering.StripeMeter",
    "LEASE_SECONDS": 3,
    "HEARTBEAT_SECONDS": 0.5,
    "MAINTENANCE_SECONDS": 0.5,
}


class RedisServer:
    """A Redis that keeps nothing, on a port of its own."""

    def __init__(self, directory: Path) -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.directory = directory
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = Redis(port=self.port)
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--save", "", "--appendonly", "no"]
        place = ["--bind", "127.0.0.1", "--dir", str(self.directory)]
        self.process = subprocess.Popen(
            [str(REDIS), *options, *place], stdout=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


class CeleryRig:
    """Workers on the test's own database and a broker of its own; the test itself sends, too."""

    core: dict[str, Any] = {}

    def __init__(self, live: Live, redis: RedisServer, settings: Any, core: dict[str, Any]) -> None:
        self.live, self.redis, self.settings = live, redis, settings
        settings.TASKS = documented_tasks(f"{__name__}.sender")
        live.environment |= {
            "DJANGO_SETTINGS_MODULE": "tests.core.celery_settings",
            "REDIS_URL": redis.url,
        }
        self.configure(**core)

    def configure(self, **core: Any) -> None:
        """Settings of COMP_CORE beside those in force, here and for workers started hereafter."""
        self.core = {**self.core, **core}
        self.settings.COMP_CORE = self.core
        self.live.environment["COMP_TEST_CORE"] = json.dumps(self.core)

    def worker(self, name: str, *, slots: int = 1) -> subprocess.Popen[bytes]:
        """Start a Celery worker with the guide's options, and wait until it is ready."""
        command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "tests.core.celery_app"]
        options = ["-Q", "default,checks", "-c", str(slots), "-n", f"{name}@%h"]
        there = Worker.objects.count()
        process = subprocess.Popen(
            [*command, "worker", "--loglevel", "WARNING", *options],
            env=self.live.environment,
            cwd=ROOT,
            start_new_session=True,
        )
        self.live.processes.append(process)
        wait_until(lambda: Worker.objects.count() > there, seconds=60)
        return process

    def delivered(self, *priorities: int) -> list[int]:
        """The order in which the broker hands out tickets that were sent with these priorities."""
        for priority in priorities:
            echo.using(priority=priority, queue_name="echo").enqueue(priority)
        with sender.connection_for_read() as connection:
            queue = connection.SimpleQueue("echo")
            return [queue.get(timeout=5).payload[0][2][0] for _ in priorities]


@task
def echo(value: Any) -> Any:
    """Answers what it is given."""
    return value


def documented(name: str) -> Any:
    """The value of a setting in the guide."""
    values: dict[str, Any] = {}
    exec(compile(SETTINGS_CODE, str(GUIDE), "exec"), values)  # noqa: S102
    return values[name]


def documented_tasks(app: str) -> Any:
    """TASKS of the guide, with another Celery app."""
    tasks = documented("TASKS")
    tasks["default"]["OPTIONS"]["APP"] = app
    return tasks


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of a worker and of everything it has forked, at the same moment."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def leave_logging_alone(**kwargs: Any) -> None:
    """A worker within the test's own process would configure the root logger."""


signals.setup_logging.connect(leave_logging_alone)


def make_sender(url: str = "memory://", **conf: Any) -> Any:
    """A Celery app as the guide configures it, for a broker."""
    app = Celery("sender", broker=url, set_as_current=False)
    app.conf.update(
        broker_transport_options=documented("CELERY_BROKER_TRANSPORT_OPTIONS"),
        worker_prefetch_multiplier=documented("CELERY_WORKER_PREFETCH_MULTIPLIER"),
        task_default_queue=documented("CELERY_TASK_DEFAULT_QUEUE"),
        worker_redirect_stdouts=False,
    )
    app.conf.update(conf)
    return app


# The test's own app, which sends what the test submits; fixtures put others in its place.
sender = make_sender()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis; gone afterwards."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def rig(
    live: Live, redis: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CeleryRig]:
    """Celery workers can be started; short leases, so that dead ones are noticed soon."""
    monkeypatch.setattr(f"{__name__}.sender", make_sender(redis.url))
    yield CeleryRig(live, redis, settings, FAST)
    sender.close()


@pytest.fixture
def sent(settings: Any) -> Iterator[list[dict[str, Any]]]:
    """Tickets go to a broker in memory; what Celery has published of them."""
    found: list[dict[str, Any]] = []

    def note(**message: Any) -> None:
        found.append({"queue": message["routing_key"], "args": message["body"][0], **message})

    settings.TASKS = documented_tasks(f"{__name__}.sender")
    signals.before_task_publish.connect(note, weak=False)
    yield found
    signals.before_task_publish.disconnect(note)
