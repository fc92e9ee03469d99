"""``comp_runs``: what an operator sees and does at the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from comp_core import lifecycle
from comp_core.models import Run
from tests.core.builders import make_claimed, make_profile, make_run, status

pytestmark = pytest.mark.django_db(transaction=True)


def comp_runs(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    out, errors, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command("comp_runs", *arguments, stdout=out, stderr=errors)
    except SystemExit as end:
        code = int(str(end.code))
    except CommandError as error:
        code = error.returncode
        errors.write(str(error))
    return code, out.getvalue(), errors.getvalue()


def as_json(*arguments: str) -> Any:
    return json.loads(comp_runs(*arguments, "--json")[1])


def short(run: Run) -> str:
    return str(run.pk)[:8]


@pytest.mark.parametrize(
    ("verb", "left_as", "words"),
    [
        ("cancel", "running", "It is being cancelled: its worker stops the model within seconds."),
        ("requeue", "queued", "It waits to start anew."),
        ("mark-lost", "lost", "It ended as lost and costs nothing."),
    ],
)
def test_a_verb_moves_a_run_and_says_what_happens_next(verb: str, left_as: str, words: str) -> None:
    """By the beginning of its id."""
    run = make_claimed()
    code, out, _ = comp_runs(verb, short(run))
    assert (code, status(run), f"{run.pk} {words}" in out) == (0, left_as, True)


def test_one_that_is_left_alone_makes_the_exit_status_1() -> None:
    """The others are moved all the same."""
    ended, waiting = lifecycle.cancel(make_run()), make_run()
    code, out, _ = comp_runs("cancel", str(ended.pk), waiting.pk.hex)
    assert (code, status(waiting), out.splitlines()[-1]) == (
        1,
        "cancelled",
        "1 run was cancelled; 1 run has ended already.",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("abc", "'abc' is no run's id: give it whole, or at least its first 8 characters."),
        (
            "g" * 32,
            f"'{'g' * 32}' is no run's id: give it whole, or at least its first 8 characters.",
        ),
        (
            "0" * 33,
            f"'{'0' * 33}' is no run's id: give it whole, or at least its first 8 characters.",
        ),
        ("00000000", "No run has an id that is, or begins with, '00000000'."),
    ],
)
def test_an_unknown_id_is_named(text: str, words: str) -> None:
    """It stops no other run from being moved; the exit status tells of it."""
    run = make_run()
    code, _, errors = comp_runs("cancel", text, short(run))
    assert (code, errors.strip(), status(run)) == (1, words, "cancelled")
    assert comp_runs("show", text) == (1, "", words)


def test_an_ambiguous_id_moves_nothing() -> None:
    """More of it must be given."""
    run = make_run()
    twin = Run.objects.get(pk=run.pk)
    twin.pk = type(run.pk)(f"{str(run.pk)[:-1]}{'0' if str(run.pk)[-1] != '0' else '1'}")
    twin.save(force_insert=True)
    code, _, errors = comp_runs("cancel", short(run))
    assert (code, "More than one run" in errors, status(run)) == (1, True, "queued")


def test_ids_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the list prints them."""
    owner = make_profile("ada")
    runs = [make_run(owner=owner), make_run(owner=owner), make_run()]
    ids = comp_runs("list", "--owner", "ada", "--ids")[1]
    monkeypatch.setattr("sys.stdin", io.StringIO(ids))
    code, _, _ = comp_runs("cancel", "-")
    assert (code, [status(run) for run in runs]) == (0, ["cancelled", "cancelled", "queued"])


@pytest.mark.parametrize(("verb", "left_as"), [("requeue", "queued"), ("mark-lost", "lost")])
def test_all_runs_of_a_worker_are_moved(verb: str, left_as: str) -> None:
    """Such as one whose machine is gone."""
    held, other = make_claimed(), make_run()
    lifecycle.claim(other.queue, worker_id="other")
    code, _, _ = comp_runs(verb, "--all-running-on", "tests")
    assert (code, status(held), status(other)) == (0, left_as, "running")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["requeue", "--all-running-on", "nobody"], "No run is running on 'nobody'."),
        (["cancel"], "Name at least one run."),
    ],
)
def test_nothing_to_move_is_an_error(arguments: list[str], words: str) -> None:
    """Most often a name was mistyped."""
    assert comp_runs(*arguments) == (1, "", words)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], [1, 0]),
        (["--status", "running"], [0]),
        (["--owner", "ada"], [1]),
        (["--project", "doubling"], [1, 0]),
        (["--project", "unruly"], []),
        (["--queue", "default"], [1, 0]),
        (["--queue", "other"], []),
        (["--limit", "1"], [1]),
        (["--limit", "0"], [1, 0]),
    ],
)
def test_the_list_is_filtered(options: list[str], found: list[int]) -> None:
    """Newest first; no limit means all."""
    runs = [make_claimed(), make_run(owner=make_profile("ada"))]
    assert [row["id"] for row in as_json("list", *options)] == [str(runs[n].pk) for n in found]


def test_the_list_is_aligned() -> None:
    """A line for each run under the names of the columns."""
    run = make_run(owner=make_profile("grace"))
    head, row = comp_runs("list")[1].splitlines()
    assert (head.index("owner"), row.startswith(f"{run.pk}  queued")) == (row.index("grace"), True)


def test_a_reader_that_has_seen_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Such as head: no error, and nothing more is written to it."""
    make_run()
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr("sys.stdout", out)
        call_command("comp_runs", "list", stdout=Gone())
        out.write("nobody reads this")
    assert (tmp_path / "out").read_text() == ""


class Gone(io.StringIO):
    """A pipe that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, and where to ask."""

    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("comp_core.management.commands.comp_runs.listed", away)
    words = "OperationalError: connection refused\nAsk comp_doctor what is wrong."
    assert comp_runs("list") == (1, "", words)


def test_an_empty_list_says_so() -> None:
    """In words, rather than with nothing."""
    assert comp_runs("list") == (0, "No run is like that.\n", "")


def test_show_tells_all() -> None:
    """State and meaning, interrupted attempts, inputs, what it printed, without escapes."""
    run = lifecycle.requeue(make_claimed())
    Run.objects.filter(pk=run.pk).update(stdout_tail="\x1b[31mred\nalert", traceback="line 3")
    out = comp_runs("show", short(run))[1]
    expected = ["It waits for a free worker.", "requeued  tests", "  Number  1.0", "  red\n  alert"]
    assert [text for text in expected if text not in out] == []


def test_show_for_programs() -> None:
    """The same facts, and texts as they are."""
    run = lifecycle.requeue(make_claimed())
    Run.objects.filter(pk=run.pk).update(stdout_tail="\x1b[31mred")
    shown = as_json("show", str(run.pk))
    attempts = [(each["number"], each["worker"], each["reason"]) for each in shown["attempts"]]
    assert (shown["stdout_tail"], shown["inputs"], attempts) == (
        "\x1b[31mred",
        {"Number": "1.0"},
        [(1, "tests", "requeued")],
    )
