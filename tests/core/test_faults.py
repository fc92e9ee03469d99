"""Models and surroundings at their worst: each run ends, at once, with words that help."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import numpy
import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError

from comp_core import lifecycle, runner
from comp_core.child import decode
from comp_core.exceptions import RunRefused
from comp_core.inputs import save_inputs
from comp_core.jobs import encode_inputs
from comp_core.metering import NullMeter
from comp_core.models import Run
from comp_core.outputs.encoding import encode, number_word
from tests.core.builders import content, make_claimed, make_inputs, make_profile, run_unruly
from tests.testapp.models import ParcelInputs

pytestmark = pytest.mark.django_db

REFUSED = {
    "raises_unprintable": "Unprintable",
    "is_async": "run() must return a list of Table, Chart or File, not a coroutine.",
    "returns_none": "run() must return a list of Table, Chart or File, not a NoneType.",
}


@pytest.mark.parametrize("behaviour", REFUSED)
def test_what_cannot_be_used_is_said(behaviour: str) -> None:
    """The author reads what came instead of outputs."""
    run = run_unruly(behaviour)
    assert (run.status, run.error_message) == ("failed", REFUSED[behaviour])


def test_a_module_without_run() -> None:
    """What is missing is said in the contract's words."""
    run = make_claimed("idle")
    runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.error_message) == (
        "failed",
        "tests.testapp.idle has no function run(inputs).",
    )


def test_a_chatterbox_is_stopped_too() -> None:
    """A model that writes faster than we read meets its deadline all the same."""
    run = make_claimed("unruly", behaviour="chatters")
    run.timeout_seconds = 1
    started = time.monotonic()
    runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, time.monotonic() - started < 8) == ("timed_out", True)


def test_file_names_that_storages_refuse() -> None:
    """Such names are made fit; the ending stays."""
    run = run_unruly("names_files_badly")
    assert (run.status, [entry["filename"] for entry in run.outputs]) == (
        "succeeded",
        ["output", "数" * 48 + ".csv", "output", "a" * 146 + ".txt"],
    )


def test_a_replaced_standard_output() -> None:
    """A model may put anything in the place of sys.stdout."""
    assert run_unruly("closes_stdout").status == "succeeded"


def test_too_many_outputs() -> None:
    """The manifest stays small; the author reads the limit and the way out."""
    run = run_unruly("makes_too_many", 501)
    assert (run.status, run.error_message) == (
        "failed",
        "run() returned 501 outputs; a run may have 500. "
        "Put more into one file, such as a ZIP archive.",
    )


def test_a_fault_of_any_kind_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a storage raises need not be an OSError; the run does not wait for its lease to end."""
    monkeypatch.setattr(runner, "save_outputs", Mock(side_effect=KeyError("bucket")))
    run = run_unruly("fine")
    assert (run.status, run.error_message) == (
        "failed",
        "The worker could not carry this run out: 'bucket'",
    )


@pytest.mark.django_db(transaction=True)
def test_a_commit_whose_answer_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database took the success, then the connection broke: the outputs stay."""

    lost = iter([OperationalError("server closed the connection unexpectedly")])

    def losing(*args: Any) -> bool:
        ended = lifecycle.finish(*args)
        for error in lost:
            raise error
        return ended

    losing.__name__ = "finish"
    monkeypatch.setattr(runner, "finish", losing)
    run = run_unruly("fine")
    assert (run.status, content(run)) == ("succeeded", b"Hello")


def test_a_check_of_what_cannot_be_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs that the worker cannot pass on are refused in words, not left pending."""
    monkeypatch.setattr(runner, "start_model", Mock(side_effect=TypeError("no JSON")))
    result = runner.check(make_inputs("unruly", behaviour="fine"))
    assert result == runner.CheckResult(
        {"__all__": ["The worker could not check these inputs: no JSON"]}
    )


def test_a_long_version_and_a_wordless_objection() -> None:
    """A version is kept as far as its column goes; an objection need not be text."""
    result = runner.check(make_inputs("idle"))
    assert result == runner.CheckResult({"__all__": ["5"]}, "9" * 200)


class Stumbling(NullMeter):
    """Breaks at one run."""

    stone: UUID

    def release(self, run: Run) -> None:
        if run.pk == self.stone:
            raise RuntimeError("The meter broke.")


@pytest.mark.django_db(transaction=True)
def test_one_broken_run_does_not_keep_the_others(settings: Any) -> None:
    """Reaping goes on behind a run that cannot be ended, and the error is heard."""
    runs = sorted((make_claimed() for _ in range(2)), key=lambda run: run.pk)
    Run.objects.update(lease_expires_at="2020-01-01T00:00Z", max_attempts=1)
    settings.COMP_CORE = {"METER": f"{__name__}.Stumbling"}
    Stumbling.stone = runs[0].pk
    with pytest.raises(RuntimeError, match="meter broke"):
        lifecycle.reap()
    assert [Run.objects.get(pk=run.pk).status for run in runs] == ["running", "lost"]


@pytest.mark.django_db(transaction=True)
def test_a_run_that_may_not_start_does_not_block_its_queue() -> None:
    """The claim passes over a run without attempts."""
    first, second = make_claimed(), make_inputs()
    Run.objects.filter(pk=first.pk).update(
        status="queued", lease_token=None, max_attempts=1, attempt=1
    )
    waiting = lifecycle.submit(second)
    claimed = lifecycle.claim("default", worker_id="w")
    assert getattr(claimed, "pk", None) == waiting.pk


def test_a_key_of_another_model() -> None:
    """A key names one wish: with another model it is refused, in words."""
    owner = make_profile(public_access=True)
    lifecycle.submit(make_inputs("doubling", owner), idempotency_key="k")
    other = make_inputs("unruly", behaviour="fine")
    type(other).objects.filter(pk=other.pk).update(owner=owner)
    other.owner = owner
    with pytest.raises(RunRefused, match="another model"):
        lifecycle.submit(other, idempotency_key="k")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"tree": {"a": [1, float("nan")]}}, "tree"),
        ({"tree": {"a": "zero \x00 byte"}}, "tree"),
        ({"tree": ["half \ud800 pair"]}, "tree"),
        ({"words": "half \ud800 pair"}, "words"),
    ],
)
def test_what_no_database_stores(values: dict[str, Any], field: str) -> None:
    """JSON's text admits numbers and characters that no database takes: refused at the field."""
    with pytest.raises(ValidationError) as refused:
        save_inputs(ParcelInputs(owner=make_profile(), **values))
    assert list(refused.value.message_dict) == [field]


def test_a_list_of_typed_values(tmp_path: Path) -> None:
    """The items of a list, such as PostgreSQL's array, arrive in their own types."""
    inputs = ParcelInputs(tree=[Decimal("1.5"), [UUID(int=1)], {"a": 1}])
    encoded = encode_inputs(inputs, tmp_path, moved=lambda: None)
    assert decode(*encoded["tree"]) == [Decimal("1.5"), [UUID(int=1)], {"a": 1}]


def test_a_value_that_no_process_receives(tmp_path: Path) -> None:
    """The error names the parameter."""
    with pytest.raises(TypeError, match="'tree' holds what cannot be handed to a model"):
        encode_inputs(ParcelInputs(tree={1, 2}), tmp_path, moved=lambda: None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (numpy.datetime64("2020-01-01T00:00:00", "ns"), "2020-01-01T00:00:00.000000000"),
        (numpy.array(["2020-01-01", "NaT"], dtype="datetime64[D]"), ["2020-01-01", None]),
        (numpy.timedelta64(5, "ns"), "5 nanoseconds"),
        ({numpy.int64(3): numpy.float32(0.5)}, {"3": 0.5}),
        (numpy.array([[1.0, numpy.nan]]), [[1.0, "NaN"]]),
    ],
)
def test_numpy_values(value: Any, expected: Any) -> None:
    """Moments keep their meaning, and keys may be NumPy's numbers."""
    assert json.loads(encode(value, "here", number_word)) == expected


@pytest.fixture
def hoarding_storage(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """Uploads that cannot be read, for reasons that no user may read."""
    settings.MEDIA_ROOT = str(tmp_path)
    secret = RuntimeError("bucket customer-42 refuses the key AKIA0000")
    monkeypatch.setattr(FileSystemStorage, "_open", Mock(side_effect=secret))


SHORT_LEASE = {"LEASE_SECONDS": 2, "HEARTBEAT_SECONDS": 0.1}
UNREAD = "The file of the parameter 'document' could not be read: the storage answered with "


@pytest.mark.usefixtures("hoarding_storage")
def test_a_run_whose_upload_cannot_be_read() -> None:
    """The storage's own words may name buckets and keys: they stay in the log."""
    run = make_claimed("parcel", document=ContentFile(b"a", name="a.csv"))
    runner.execute(run)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.error_type, stored.error_message) == (
        "InputsNotRead",
        f"The worker could not carry this run out: {UNREAD}RuntimeError",
    )


@pytest.mark.usefixtures("hoarding_storage")
def test_a_check_whose_upload_cannot_be_read() -> None:
    """The form says so in the same words."""
    result = runner.check(make_inputs("parcel", document=ContentFile(b"a", name="a.csv")))
    assert result.errors == {
        "__all__": [f"The worker could not check these inputs: {UNREAD}RuntimeError"]
    }


@pytest.mark.django_db(transaction=True)
def test_a_slow_upload_does_not_cost_the_lease(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    """Heartbeats go on while a storage takes its time to hand a file out."""
    settings.MEDIA_ROOT, settings.COMP_CORE = str(tmp_path), SHORT_LEASE
    run = make_claimed("parcel", document=ContentFile(b"a", name="a.csv"))
    opened = FileSystemStorage._open

    def slow(self: FileSystemStorage, name: str, mode: str = "rb") -> Any:
        time.sleep(2.5)
        lifecycle.reap()
        return opened(self, name, mode)

    monkeypatch.setattr(FileSystemStorage, "_open", slow)
    assert (runner.execute(run), Run.objects.get(pk=run.pk).status) == (True, "succeeded")
