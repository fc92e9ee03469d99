"""The Celery backend: what it sends, when, in which order, and what it refuses."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import signals
from celery.contrib.testing.worker import start_worker
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.db import connections, transaction

from comp_core.compat import task, task_backends
from comp_core.inputs import save_inputs
from comp_core.models import Run, Worker
from comp_core.tasks_backends.celery import NAME
from comp_core.tickets import send_ticket
from tests.core import celery_rig
from tests.core.builders import ids, make_profile
from tests.core.celery_rig import echo, make_sender, sent
from tests.core.live import ROOT, Live, live, wait_until
from tests.testapp.models import DoublingInputs

__all__ = ["live", "sent"]

pytestmark = pytest.mark.django_db(transaction=True)
Sent = list[dict[str, Any]]
REDIS = "redis://127.0.0.1:9/0"
heard: list[Any] = []


@task(takes_context=True)
def attempt(context: Any, word: str) -> None:
    """Notes what a task is told about itself."""
    heard.append((context.task_result.id, word))


@task
async def whisper(word: str) -> None:
    """Notes a word, as a coroutine."""
    await asyncio.sleep(0)
    heard.append(word)


def use(monkeypatch: pytest.MonkeyPatch, url: str, **conf: Any) -> Any:
    """The backend, over a Celery app with this broker and configuration."""
    monkeypatch.setattr(celery_rig, "sender", make_sender(url, **conf))
    return task_backends["default"]


def execute(*message: Any) -> None:
    """What a Celery worker does with a message."""
    celery_rig.sender.tasks[NAME].apply(args=message, throw=True, task_id="t").get()


def test_nothing_is_sent_by_what_is_rolled_back(sent: Sent) -> None:
    """A ticket leaves when its transaction commits, and only then."""

    def roll_back() -> None:
        with transaction.atomic():
            echo.enqueue("never")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        roll_back()
    with transaction.atomic():
        echo.enqueue("committed")
        early = len(sent)
    assert (early, [message["args"][2] for message in sent]) == (0, [["committed"]])


def test_what_a_message_says(sent: Sent) -> None:
    """The task by its path, its arguments, its queue, its moment; the result has the same id."""
    moment = datetime(2031, 1, 1, tzinfo=UTC)
    result = echo.using(queue_name="gpu", run_after=moment).enqueue(7)
    (message,) = sent
    assert (message["queue"], message["args"], message["headers"]["id"]) == (
        "gpu",
        ["tests.core.celery_rig.echo", "default", [7], {}],
        result.id,
    )
    assert message["headers"]["eta"] == moment.isoformat()


def test_what_a_result_says(sent: Sent) -> None:
    """The outcome is not kept: the run's row has it."""
    result = echo.enqueue(7)
    with pytest.raises(NotImplementedError):
        result.refresh()
    assert (result.status, result.enqueued_at is not None, result.backend) == (
        "READY",
        True,
        "default",
    )


@pytest.mark.parametrize(
    ("url", "levels"),
    [(REDIS, [9, 7, 5, 2, 0]), ("amqp://", [0, 2, 4, 7, 9]), ("sqs://", [0, 2, 4, 7, 9])],
)
def test_priorities(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, url: str, levels: list[int]
) -> None:
    """Redis serves the lowest number first, others the highest."""
    backend = use(monkeypatch, url)
    assert [backend.level(priority) for priority in (-100, -50, 0, 50, 100)] == levels


def test_a_broker_with_an_order_of_its_own(sent: Sent, settings: Any) -> None:
    """An option says which end is urgent."""
    settings.TASKS["default"]["OPTIONS"]["URGENT_IS_ZERO"] = True
    settings.TASKS = dict(settings.TASKS)
    assert task_backends["default"].level(100) == 0


def test_a_priority_is_sent(sent: Sent) -> None:
    """As the broker's number."""
    echo.using(priority=100).enqueue(1)
    assert sent[0]["properties"]["priority"] == 9


def test_only_tasks_are_carried_out(sent: Sent) -> None:
    """A message may not name any other function."""
    with pytest.raises(SuspiciousOperation, match=r"os\.getcwd is not a task"):
        execute("os.getcwd", "default", [], {})


def test_kinds_of_tasks(sent: Sent) -> None:
    """A task may want its context, and it may be a coroutine."""
    heard.clear()
    execute(f"{__name__}.attempt", "default", ["first"], {})
    execute(f"{__name__}.whisper", "default", [], {"word": "second"})
    assert heard == [("t", "first"), "second"]


RIGHT: dict[str, Any] = {}
WRONG = [
    (REDIS, RIGHT, []),
    ("memory://", RIGHT, []),
    ("memory://", {"broker_url": None}, ["comp_core.E031"]),
    ("memory://", {"task_always_eager": True}, ["comp_core.E032"]),
    (REDIS, {"broker_transport_options": {}}, ["comp_core.E033"]),
    (REDIS, {"broker_transport_options": {"visibility_timeout": 3600}}, ["comp_core.E033"]),
    ("amqp://", {"broker_transport_options": {}}, []),
    ("memory://", {"task_annotations": {"*": {"acks_late": False}}}, ["comp_core.E034"]),
    (
        "memory://",
        {"task_annotations": {NAME: {"reject_on_worker_lost": False}}},
        ["comp_core.E034"],
    ),
    ("memory://", {"task_time_limit": 3600}, ["comp_core.E035"]),
    ("memory://", {"task_soft_time_limit": 300}, ["comp_core.E035"]),
    ("memory://", {"task_time_limit": 3700}, []),
    ("memory://", {"worker_prefetch_multiplier": 4}, ["comp_core.W030"]),
]


@pytest.mark.parametrize(("url", "conf", "found"), WRONG)
def test_checks(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, url: str, conf: dict[str, Any], found: list[str]
) -> None:
    """What would lose runs, or execute them twice, is said before it happens."""
    assert ids(use(monkeypatch, url, **conf).check()) == found


def test_an_app_that_is_not_there(settings: Any) -> None:
    """The path in the options is checked."""
    settings.TASKS = celery_rig.documented_tasks("nowhere.app")
    assert ids(task_backends["default"].check()) == ["comp_core.E030"]


def test_wrong_settings_send_nothing(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site whose checks nobody has read refuses to send."""
    use(monkeypatch, "memory://", task_always_eager=True)
    with pytest.raises(ImproperlyConfigured, match="TASK_ALWAYS_EAGER"):
        echo.enqueue(1)
    assert sent == []


def test_a_broker_that_is_away(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was submitted stays so: a ticket that cannot be sent is a lost one, and told."""
    retries = {"max_retries": 0}
    use(monkeypatch, REDIS, task_publish_retry_policy=retries)
    send_ticket("default")
    assert [record.message for record in caplog.records if record.name == "comp_core"] == [
        "A ticket for the queue default could not be sent."
    ]


def close_connections(**kwargs: Any) -> None:
    """Those of the worker's thread."""
    connections.close_all()


@pytest.fixture
def worker(sent: Sent, live: Live) -> Iterator[Any]:
    """A real Celery worker in a thread of its own."""
    celery_rig.sender.control.purge()
    options: dict[str, Any] = {"pool": "threads", "concurrency": 2, "perform_ping_check": False}
    # Celery's own care for Django begins with a signal that embedded workers don't send.
    signals.task_postrun.connect(close_connections)
    with start_worker(celery_rig.sender, queues=["default", "checks"], **options) as started:
        yield started
    signals.task_postrun.disconnect(close_connections)


def test_a_run_from_its_form_to_its_end(worker: Any) -> None:
    """The check and the run are carried out by a Celery worker."""
    save_inputs(DoublingInputs(owner=make_profile(), number=3), run_request={})
    wait_until(lambda: Run.objects.filter(finished_at__isnull=False).exists(), seconds=30)
    assert Run.objects.get().status == "succeeded"


def test_a_celery_worker_is_seen(worker: Any) -> None:
    """It has a row while it is there, with its queues and how many runs it executes at a time."""
    signals.worker_ready.send(sender=worker.consumer)
    there = wait_until(lambda: list(Worker.objects.values_list("queues", "slots")))
    signals.worker_shutdown.send(sender=worker)
    assert (there, Worker.objects.count()) == ([("checks,default", 2)], 0)


def python(code: str) -> str:
    """What a fresh interpreter with the test settings prints."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() + told.stderr.strip().rpartition("\n")[2]


SET_UP = "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.{}'; import django; "


@pytest.mark.parametrize(
    ("code", "said"),
    [
        # Nobody pays for what he does not use.
        (
            SET_UP.format("settings")
            + "django.setup(); import comp_core.tasks; print('celery' in sys.modules)",
            "False",
        ),
        # Celery's own discovery imports this module, and needs no other hint.
        (
            SET_UP.format("core.celery_settings") + "django.setup(); import comp_core.tasks; "
            "from tests.core.celery_app import app; print('comp_core.execute' in app.tasks)",
            "True",
        ),
        # So it does when tickets have a backend of their own beside the site's default one.
        (
            SET_UP.format("core.celery_settings")
            + "from comp_core import host; from django.conf import settings as s; "
            "s.TASKS.update(runs=s.TASKS['default'], default=host.TASKS['default']); "
            "s.COMP_CORE['TASK_BACKEND'] = 'runs'; django.setup(); import comp_core.tasks; "
            "from tests.core.celery_app import app; print('comp_core.execute' in app.tasks)",
            "True",
        ),
        # A model's module may declare tasks.
        (
            SET_UP.format("core.celery_settings")
            + "import comp_core.tasks_backends.celery; print('loaded')",
            "loaded",
        ),
        (
            "import sys; sys.modules['celery'] = None; import comp_core.tasks_backends.celery",
            "ImportError: CeleryBackend needs Celery: pip install 'django-comp[celery]'",
        ),
    ],
)
def test_loading(code: str, said: str) -> None:
    """Celery is loaded when TASKS names it, whatever is loaded before."""
    assert python(code) == said
