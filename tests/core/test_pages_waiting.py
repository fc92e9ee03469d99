"""What the owner of a run is told of waiting, of interruptions and of outputs that are removed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from comp_core import lifecycle
from comp_core.models import Attempt, Interruption, Run
from comp_core.outputs import File, Table
from comp_core.status import RunStatus
from comp_users.models import Profile
from tests.core.builders import make_claimed, make_profile, make_run, statements
from tests.core.pages import ended_run, finished_run, page_of, staff_visitor, visitor

pytestmark = pytest.mark.django_db(transaction=True)

CHARGED_ONCE = "Only an attempt that succeeds is charged."


def shown(run: Run, client: Client | None = None) -> str:
    """The words of a run's page, with single spaces."""
    return words((client or visitor(run.owner)).get(page_of(run)).content.decode())


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split()).replace("&#x27;", "'")


def make_held(owner: Profile) -> Run:
    """A run that waits behind its owner's own."""
    make_run(owner=owner)
    held: Run = make_run(owner=owner)
    assert held.held or Run.objects.get(pk=held.pk).held
    return Run.objects.select_related("owner__user").get(pk=held.pk)


def interrupted(run: Run, *reasons: Interruption) -> Run:
    """A run under way again after attempts that ended so."""
    Attempt.objects.bulk_create(
        Attempt(run=run, number=number, ended_at=run.created, reason=reason)
        for number, reason in enumerate(reasons, start=1)
    )
    Run.objects.filter(pk=run.pk).update(attempt=len(reasons) + 1, max_attempts=len(reasons) + 1)
    return Run.objects.select_related("owner__user").get(pk=run.pk)


def test_a_held_run_says_what_it_waits_for() -> None:
    """The owner is told the limit; a worker that is free would not help."""
    text = shown(make_held(make_profile(max_running_runs=1)))
    assert "It waits for your other runs: 1 of yours may be under way at a time." in text
    assert "Waiting for a free worker" not in text
    assert "Nothing is charged for waiting." in text


def test_others_are_told_of_its_owner() -> None:
    """Staff look at somebody else's run."""
    run = make_held(make_profile(max_running_runs=1))
    text = shown(run, staff_visitor(make_profile()))
    assert "It waits for its owner's other runs: 1 of them may be under way at a time." in text


def test_a_held_run_whose_limit_is_gone() -> None:
    """It is let in at the next round; a number would be wrong."""
    run = make_held(make_profile(max_running_runs=1))
    Profile.objects.filter(pk=run.owner_id).update(max_running_runs=None)
    assert "It waits for other runs and is next." in shown(run)


def test_without_a_worker_the_money_is_told() -> None:
    """What it means, who acts, what it costs."""
    text = shown(make_run())
    assert "starts when the site's operators have started one" in text
    assert "You pay nothing for waiting, nor if it never starts." in text


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Interruption.WORKER_LOST, "Started again: the worker of attempt 1 was lost."),
        (Interruption.RELEASED, "Started again: the worker of attempt 1 had to stop."),
        (Interruption.REQUEUED, "Started again: an operator of this site took attempt 1 back."),
    ],
)
def test_an_interrupted_attempt_is_told(reason: Interruption, told: str) -> None:
    """With what it means for the money."""
    assert f"{told} {CHARGED_ONCE}" in shown(interrupted(make_claimed(), reason))


def test_while_it_waits_again_it_has_not_been_started_again() -> None:
    """The words don't run ahead of the worker."""
    run = lifecycle.requeue(make_claimed())
    text = shown(run)
    assert "It will be started again, from its beginning: an operator of this site took" in text
    assert "Started again" not in text


def test_attempts_are_for_owner_and_staff() -> None:
    """Others who see a public run see how it ended, not how it went."""
    run = interrupted(make_claimed(), Interruption.WORKER_LOST)
    Run.objects.filter(pk=run.pk).update(is_public=True)
    pages = [shown(run, client) for client in (visitor(make_profile()), Client())]
    assert ["Started again" in text for text in pages] == [False, False]
    assert "Started again" in shown(run, staff_visitor(make_profile()))


def test_a_run_that_was_given_up_is_not_told_as_started_again() -> None:
    """It is told once, by its end, whatever came before."""
    run = lifecycle.mark_lost(interrupted(make_claimed(), Interruption.RELEASED))
    text = shown(Run.objects.select_related("owner__user").get(pk=run.pk))
    assert ("An operator gave this run up." in text, "tarted again" in text) == (True, False)


def test_attempts_cost_one_statement_however_many() -> None:
    """And none for a run that was never interrupted."""
    counts = []
    for reasons in ([], [Interruption.RELEASED], [Interruption.RELEASED] * 5):
        run = interrupted(make_claimed(), *reasons)
        client = visitor(run.owner)
        with statements() as sql:
            client.get(page_of(run))
        counts.append(len(sql))
        lifecycle.mark_lost(run)
    assert [count - counts[0] for count in counts] == [0, 1, 1]


def test_fifty_runs_are_listed_by_two_statements() -> None:
    """Their number and the page of them; session and user come on top."""
    owner = make_profile()
    runs = [make_run(owner=owner) for _ in range(50)]
    client = visitor(owner)
    with statements() as sql:
        text = client.get("/models/runs/").content.decode()
    of_runs = [statement for statement in sql if '"comp_core_run"' in statement]
    assert (len(runs), text.count('<th scope="row">'), len(of_runs)) == (50, 50, 2)
    # The session, its user, and whether a payment is due.
    assert len(sql) - len(of_runs) <= 3


def test_removed_outputs_are_told_on_the_page(tmp_path: Path) -> None:
    """With the day, what stays, and a way out; their names stay without links."""
    run = removed(finished_run(tmp_path / "made", [Table("T", ["a"], [[1]]), File("b.txt", "b")]))
    html = visitor(run.owner).get(page_of(run)).content.decode()
    text = words(html)
    assert "The outputs of this run were removed on Jan. 2, 2030" in text
    assert "Inputs and receipt stay. You can run it again." in text
    assert ("b.txt" in text, "outputs/2/" in html, "outputs.zip" in html) == (True, False, False)
    assert "can no longer be shown" not in text


@pytest.mark.parametrize("name", ["outputs/1/", "outputs.zip"])
def test_a_removed_output_answers_with_words(tmp_path: Path, name: str) -> None:
    """410 Gone, in the site's frame, with the way back to the run."""
    run = removed(finished_run(tmp_path / "made", [File("b.txt", "b")]))
    answer = visitor(run.owner).get(f"{page_of(run)}{name}")
    text = answer.content.decode()
    assert (answer.status_code, "were removed on Jan. 2, 2030" in words(text)) == (410, True)
    assert f'href="{page_of(run)}"' in text


def test_an_output_that_is_missing_answers_with_words(tmp_path: Path) -> None:
    """Something went wrong there: a 404, and whom to ask."""
    run = finished_run(tmp_path / "made", [File("b.txt", "b")])
    Run.objects.filter(pk=run.pk).update(outputs=[{**run.outputs[0], "path": "runs/nowhere"}])
    answer = visitor(run.owner).get(f"{page_of(run)}outputs/1/")
    text = words(answer.content.decode())
    assert (answer.status_code, "missing from the site's storage" in text) == (404, True)


def removed(run: Run) -> Run:
    """The run after retention."""
    Run.objects.filter(pk=run.pk).update(outputs_pruned_at="2030-01-02T12:00Z")
    return run


def test_what_a_model_printed_is_shown_without_escapes() -> None:
    """Its error, traceback and prints, escaped as text."""
    colour: dict[str, Any] = {"error_message": "\x1b[1mNo\x1b[0m.", "traceback": "bell\x07"}
    run = ended_run(status=RunStatus.FAILED, stdout_tail="\x1b[31m<b>red", **colour)
    html = visitor(run.owner).get(page_of(run)).content.decode()
    assert [mark for mark in ("\x1b", "\x07", "<b>red") if mark in html] == []
    assert [text for text in ("No.", "bell\u2407", "&lt;b&gt;red") if text not in html] == []
