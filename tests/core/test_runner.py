"""What a run does to its worker, and what its user reads afterwards: real processes."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from comp_core import lifecycle, runner
from comp_core.models import Run
from comp_core.outputs.store import open_output
from tests.core.builders import make_claimed, make_inputs, run_unruly
from tests.core.live import models_running, wait_until
from tests.testapp.models import ParcelInputs

pytestmark = pytest.mark.django_db


def content(run: Run, output_id: str = "1") -> bytes:
    """The bytes of an output."""
    with open_output(run, output_id)[1] as file:
        return file.read()


def stored_files(run: Run) -> list[str]:
    """What storage holds of a run."""
    root = Path(default_storage.path(f"runs/{run.pk}"))
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


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


def test_every_kind_of_parameter() -> None:
    """Parameters arrive in Python's own types; a file as a copy under its user's name."""
    inputs = ParcelInputs(
        document=ContentFile(b"a,b\n1,2\n", name="my data.csv"),
        day=date(2026, 2, 3),
        moment=datetime(2026, 2, 3, 4, 5, tzinfo=UTC),
        clock=clock(6, 7),
        length=timedelta(hours=1),
        price=Decimal("1.5000"),
        tree={"a": [1, None]},
        mark=UUID(int=1),
        flag=True,
        words="Grüße",
    )
    run = make_claimed(
        "parcel",
        adjustment={"document": "my data.csv"},
        **{field.name: getattr(inputs, field.name) for field in ParcelInputs.parameter_fields()},
    )
    runner.execute(run)
    rows = {row[0]: row[1:] for row in json.loads(content(Run.objects.get(pk=run.pk)))["rows"]}
    rows["document"][1] = ""
    assert rows == {
        "document": ["str", ""],
        "day": ["date", "2026-02-03"],
        "moment": ["datetime", "2026-02-03 04:05:00+00:00"],
        "clock": ["time", "06:07:00"],
        "length": ["timedelta", "1:00:00"],
        "price": ["Decimal", "1.5000"],
        "tree": ["dict", "{'a': [1, None]}"],
        "mark": ["UUID", "00000000-0000-0000-0000-000000000001"],
        "flag": ["bool", "True"],
        "words": ["str", "Grüße"],
        "name": ["", "my data.csv"],
        "content": ["", "a,b\n1,2\n"],
        "working directory": ["", "[]"],
        "secrets": ["", "[]"],
    }


def test_the_environment_keeps_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 12: the site's keys do not reach the models' processes."""
    monkeypatch.setenv("SITE_SECRET_KEY", "x")
    run = make_claimed("parcel")
    runner.execute(run)
    rows = json.loads(content(Run.objects.get(pk=run.pk)))["rows"]
    assert ["secrets", "", "[]"] in rows


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


def test_a_hundred_thousand_reports() -> None:
    """Hammering the progress costs the run no time to speak of."""
    run = run_unruly("reports", 100_000)
    assert (run.status, run.progress) == ("succeeded", 1.0)


def test_nonsense_for_progress(settings: Any) -> None:
    """A progress that is no number does no harm."""
    settings.COMP_CORE = {"HEARTBEAT_SECONDS": 0.1}
    assert run_unruly("reports_nonsense", 0.5).status == "succeeded"


def test_standard_input_is_empty() -> None:
    """A model that reads finds the end of the file instead of our pipe."""
    assert content(run_unruly("reads_input")) == b""


def test_warnings_are_the_models_own() -> None:
    """A model that turns warnings into errors harms only itself."""
    assert run_unruly("turns_warnings_into_errors").status == "succeeded"


def test_the_working_directory_is_scratch() -> None:
    """What a model writes beside itself is gone with its run."""
    run = run_unruly("writes_into_working_directory")
    assert (run.status, Path(content(run).decode()).exists()) == ("succeeded", False)


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
    assert run.error_message.startswith("The worker could not carry this run out")


def test_another_interpreter(settings: Any) -> None:
    """A model's own interpreter needs neither this library nor Django in its path."""
    bare = os.path.realpath(f"{sys.base_prefix}/bin/python3")
    settings.COMP_CORE = {"PYTHON": bare}
    assert run_unruly("fine").status == "succeeded"


def test_an_interpreter_that_is_not_there(settings: Any) -> None:
    """A wrong path of the interpreter fails the run with words."""
    settings.COMP_CORE = {"PYTHON": "/nowhere/python"}
    run = run_unruly("fine")
    assert (run.status, "/nowhere/python" in run.error_message) == ("failed", True)


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
