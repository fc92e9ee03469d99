"""What a model's process may do to its worker: limits, prints, children, nonsense."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from comp_core import runner
from comp_core.models import Run
from tests.core.builders import (
    content,
    make_claimed,
    run_unruly,
)
from tests.core.live import models_running, wait_until

pytestmark = pytest.mark.django_db


def test_deadline(settings: Any) -> None:
    """A model that sleeps past its limit and ignores SIGTERM is killed: timed out."""
    settings.COMP_CORE = {"TERMINATE_GRACE_SECONDS": 0.3}
    run = make_claimed("unruly", behaviour="ignores_sigterm")
    run.timeout_seconds = 1
    runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.error_message) == (
        "timed_out",
        "The model was stopped at its time limit, after 1 seconds.",
    )


def test_memory(settings: Any) -> None:
    """A model that takes more memory than allowed is stopped, and the worker lives."""
    settings.COMP_CORE = {"MAX_MEMORY_BYTES": 100 * 2**20}
    run = run_unruly("hoards", 200 * 2**20)
    assert (run.status, run.error_message) == (
        "failed",
        "The model used more than the 0.1 GiB of memory allowed and was stopped.",
    )


def test_memory_of_last_words(settings: Any) -> None:
    """A model that takes it when it is asked to stop is killed before its grace is over."""
    settings.COMP_CORE = {"MAX_MEMORY_BYTES": 100 * 2**20, "TERMINATE_GRACE_SECONDS": 20}
    run = make_claimed("unruly", behaviour="hoards_when_stopped", amount=200 * 2**20)
    run.timeout_seconds = 1
    begun = time.monotonic()
    runner.execute(run)
    assert (Run.objects.get(pk=run.pk).status, time.monotonic() - begun < 15) == ("timed_out", True)


def test_address_space(settings: Any) -> None:
    """With an address-space limit Python itself refuses, and the message says so."""
    settings.COMP_CORE = {"ADDRESS_SPACE_BYTES": 256 * 2**20}
    run = run_unruly("hoards", 2**30)
    assert (run.status, run.error_message) == ("failed", "The model ran out of memory.")


def test_prints(settings: Any) -> None:
    """Of a million lines the last words are kept, fit for every database."""
    settings.COMP_CORE = {"STDOUT_TAIL_BYTES": 100}
    run = run_unruly("prints", 10_000)
    assert (run.status, len(run.stdout_tail), run.stdout_tail[-30:]) == (
        "succeeded",
        100,
        "xxxxxxx\nthe last \ufffd words \x1b[0m\n",
    )


def test_last_words_of_a_failure() -> None:
    """What a model printed before it failed is kept."""
    assert run_unruly("exits").stdout_tail == "Goodbye.\n"


@pytest.mark.parametrize("behaviour", ["forks", "daemonises"])
def test_nothing_is_left_behind(
    behaviour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a model started ends with it, also what left its process group."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = run_unruly(behaviour, 50)
    wait_until(lambda: models_running(tmp_path) == [], seconds=1)
    assert run.status == "succeeded"


def test_a_forked_child_does_not_answer() -> None:
    """A process that the model forked cannot hand in the result a second time."""
    run = run_unruly("forked_child_returns")
    assert (run.status, content(run)) == ("succeeded", b"me")


def test_a_hundred_thousand_reports() -> None:
    """Hammering the progress costs the run no time to speak of."""
    run = run_unruly("reports", 100_000)
    assert (run.status, run.progress) == ("succeeded", 1.0)


def test_nonsense_for_progress(settings: Any) -> None:
    """A progress that is no number does no harm."""
    settings.COMP_CORE = {"HEARTBEAT_SECONDS": 0.1}
    assert run_unruly("reports_nonsense", 0.5).status == "succeeded"


def test_warnings_are_the_models_own() -> None:
    """A model that turns warnings into errors harms only itself."""
    assert run_unruly("turns_warnings_into_errors").status == "succeeded"
