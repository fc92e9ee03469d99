"""What a run does to its worker, and what its user reads afterwards: real processes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from comp_core import lifecycle, runner
from comp_core.models import Run
from tests.core.builders import (
    content,
    make_claimed,
    make_inputs,
    run_unruly,
    stored_files,
)

pytestmark = pytest.mark.django_db


def test_success() -> None:
    """A model's outputs are stored, its version and its seconds kept."""
    run = run_unruly("fine")
    [entry] = run.outputs
    assert (run.status, run.upstream_version, entry["filename"], content(run)) == (
        "succeeded",
        "0.9",
        "hello.txt",
        b"Hello",
    )


def test_the_manifest() -> None:
    """Each output has an id of its own, also when titles and names are equal."""
    run = run_unruly("same_titles")
    assert [(e["id"], e["title"], e["filename"], e["path"]) for e in run.outputs] == [
        ("1", "Same", "same.txt", f"runs/{run.pk}/1/1-same.txt"),
        ("2", "Same", "same.txt", f"runs/{run.pk}/1/2-same.txt"),
    ]


FAILURES = {
    "raises": ("ValueError", "The reservoir is empty: raise the inflow."),
    "raises_half_text": ("ValueError", "half ? pair and \ufffd zero"),
    "raises_wordless": ("KeyboardInterrupt", "KeyboardInterrupt"),
    "exits": (
        "SystemExit",
        "The model ended its process with sys.exit(3) instead of returning.",
    ),
    "hard_exits": (
        "Crashed",
        "The model ended its process with exit status 7 instead of returning.",
    ),
    "aborts": ("Crashed", "The model's process crashed (SIGABRT)."),
    "recurses": ("RecursionError", "maximum recursion depth exceeded"),
    "returns_text": (
        "Rejected",
        "run() must return a list of Table, Chart or File, not a str.",
    ),
    "returns_strangers": (
        "Rejected",
        "outputs[1] must be a Table, Chart or File, not a dict.",
    ),
    "strange_value": (
        "Rejected",
        "outputs[0].rows[1][1] is a object, which cannot be stored.",
    ),
    "ragged": ("Rejected", "outputs[0].rows[1] has 1 values for 2 columns."),
}


@pytest.mark.parametrize("behaviour", FAILURES)
def test_failure_in_words(behaviour: str) -> None:
    """A model that goes wrong fails with its reason, unpaid, with nothing stored."""
    run = run_unruly(behaviour)
    error_type, message = FAILURES[behaviour]
    assert (run.status, run.error_type, run.error_message, run.run_cost, stored_files(run)) == (
        "failed",
        error_type,
        message,
        None,
        [],
    )


def test_the_traceback_is_the_models_own() -> None:
    """The author sees their own frames and none of ours."""
    run = run_unruly("raises")
    assert ("unruly.py" in run.traceback, "child.py" in run.traceback) == (True, False)


def test_a_module_that_cannot_be_imported() -> None:
    """A model whose module fails to load fails with the reason."""
    run = make_claimed("broken")
    runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.error_message) == (
        "failed",
        "No module named 'a_library_that_is_not_installed'",
    )


def test_a_model_that_left_the_site(settings: Any) -> None:
    """A run whose model is no longer installed fails with words instead of hanging."""
    run = make_claimed()
    run.project.slug = "gone"
    runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, "slug 'gone'" in stored.error_message) == ("failed", True)


def test_output_too_big(settings: Any) -> None:
    """An output over the limit fails the run, with the limit in words."""
    settings.COMP_CORE = {"MAX_OUTPUT_BYTES": 2**20}
    run = run_unruly("big_output", 2**20 + 1)
    assert (run.status, run.error_message, stored_files(run)) == (
        "failed",
        "outputs[0] is larger than the 1 MiB that this site allows for one output.",
        [],
    )


def test_outputs_too_big_together(settings: Any) -> None:
    """So does the sum of a run's outputs."""
    settings.COMP_CORE = {"MAX_RUN_OUTPUT_BYTES": 5000}
    run = run_unruly("many_outputs", 6)
    assert (run.status, run.error_message) == (
        "failed",
        "The outputs together are larger than the 5000 bytes that this site allows for one run.",
    )


def test_what_is_no_number() -> None:
    """NaN and infinities are words in tables and null in charts, on both databases."""
    run = run_unruly("no_numbers")
    table, chart = json.loads(content(run, "1")), json.loads(content(run, "2"))
    assert (table["rows"], chart["data"]["values"], run.outputs[1]["alt"]) == (
        [["NaN", "Infinity", "-Infinity", "NaN", None, True]],
        [{"x": None, "y": 1.5}],
        "Nothing",
    )


def test_cancel_while_running(settings: Any) -> None:
    """A running model dies within a heartbeat of the wish."""
    settings.COMP_CORE = {"HEARTBEAT_SECONDS": 0.1}
    run = make_claimed("unruly", behaviour="sleeps", amount=30)
    lifecycle.cancel(run)
    started = time.monotonic()
    runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.error_message, time.monotonic() - started < 3) == (
        "cancelled",
        "Cancelled while it ran.",
        True,
    )


def test_fenced_output_is_discarded(settings: Any) -> None:
    """Invariant 4: an attempt whose run was taken away leaves neither a row nor a file."""
    settings.COMP_CORE = {"HEARTBEAT_SECONDS": 60}
    run = make_claimed("unruly", behaviour="fine")
    Run.objects.filter(pk=run.pk).update(lease_token=UUID(int=5))
    ended = runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (ended, stored.status, stored.outputs, stored_files(stored)) == (
        False,
        "running",
        [],
        [],
    )


def test_storage_that_refuses(settings: Any, tmp_path: Path) -> None:
    """A full or broken storage fails the run with words; nothing is half-saved."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a directory should be")
    settings.MEDIA_ROOT = str(blocked)
    run = run_unruly("fine")
    assert (run.status, run.run_cost, run.outputs) == ("failed", None, [])
    assert run.error_message.startswith("The outputs could not be stored: ")


def test_check_accepts() -> None:
    """A model without objections says nothing, and its version."""
    inputs = make_inputs("unruly", behaviour="fine")
    assert runner.check(inputs) == runner.CheckResult({}, "0.9")


CHECKS = {
    "refused": {"behaviour": ["Not this one."]},
    "check_raises": {
        "__all__": ["The model could not check these inputs: The check itself is broken."]
    },
    "check_returns_list": {
        "__all__": [
            "The model could not check these inputs: "
            "validate() must return a dict of field to messages, not a list."
        ]
    },
}


@pytest.mark.parametrize("behaviour", CHECKS)
def test_check_refuses(behaviour: str) -> None:
    """The model's objections by field; a broken check is an objection to the whole."""
    result = runner.check(make_inputs("unruly", behaviour=behaviour))
    assert result is not None
    assert result.errors == CHECKS[behaviour]
