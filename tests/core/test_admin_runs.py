"""Operators at work in the admin: verbs on rows and on a page, what they see, what it costs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.test import Client

from comp_core import lifecycle
from comp_core.models import Run, Worker
from comp_core.outputs import File
from comp_core.status import RunStatus
from tests.core.builders import (
    FAILURE,
    expire,
    make_claimed,
    make_profile,
    make_run,
    statements,
    status,
)
from tests.core.pages import ended_run, finished_run

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = "/admin/comp_core/run/"


@pytest.fixture
def operator(client: Client) -> Client:
    """A logged-in superuser."""
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.org"))
    return client


def staff(*codenames: str) -> Client:
    """Somebody of the staff with these permissions."""
    user = make_profile().user
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, action: str, *runs: Run, **more: str) -> Any:
    """An action on rows of the list."""
    data = {"action": action, "_selected_action": [str(run.pk) for run in runs], **more}
    return client.post(RUNS, data)


def press(client: Client, verb: str, run: Run, **more: str) -> Any:
    """A button on a run's page."""
    return client.post(f"{RUNS}{run.pk}/operate/", {"verb": verb, **more})


def told(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def page(client: Client, address: str) -> str:
    """What a page shows, without the white space between its elements."""
    return re.sub(r">\s+<", "><", client.get(address).content.decode())


def change(run: Run) -> str:
    return f"{RUNS}{run.pk}/change/"


def test_a_mixed_selection_is_reported_truthfully(operator: Client) -> None:
    """A sentence for all, and one for each run that was left alone."""
    running, ended = make_claimed(), ended_run(status=RunStatus.FAILED, error_message="No.")
    words = "It has ended already, and a run that has ended never changes."
    assert told(act(operator, "cancel_runs", running, ended)) == [
        "1 run is being cancelled; 1 run has ended already.",
        f"{ended} ({ended.pk}): {words}",
    ]


@pytest.mark.parametrize(
    ("action", "left_as"), [("requeue_runs", "queued"), ("mark_runs_lost", "lost")]
)
def test_what_throws_work_away_is_asked_first(operator: Client, action: str, left_as: str) -> None:
    """The question names the runs and the money; a yes does it, and the log has it."""
    run = make_claimed()
    question = act(operator, action, run)
    before = status(run)
    act(operator, action, run, confirmed="yes")
    assert (before, status(run), LogEntry.objects.count()) == ("running", left_as, 1)
    assert str(run.pk) in question.content.decode()
    assert "costs nothing" in question.content.decode()


def test_the_question_can_be_answered_as_it_stands(operator: Client) -> None:
    """Its form carries whatever the answer needs."""
    run = make_claimed()
    question = act(operator, "mark_runs_lost", run).content.decode()
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', question))
    fields.pop("csrfmiddlewaretoken")
    operator.post(RUNS, fields)
    assert status(run) == "lost"


def test_a_waiting_run_is_requeued_without_a_question(operator: Client) -> None:
    """Nothing is lost by it."""
    run = make_run()
    assert told(act(operator, "requeue_runs", run)) == ["1 run waits to start anew."]


@pytest.mark.parametrize(
    ("verb", "left_as"), [("cancel", "running"), ("requeue", "queued"), ("mark_lost", "lost")]
)
def test_buttons_do_what_actions_do(operator: Client, verb: str, left_as: str) -> None:
    """And lead back to the page."""
    run = make_claimed()
    answer = press(operator, verb, run, confirmed="yes")
    assert (status(run), answer.status_code, answer.url) == (left_as, 302, change(run))


def test_buttons_ask_too(operator: Client) -> None:
    """The same question, which nothing has answered yet."""
    run = make_claimed()
    answer = press(operator, "mark_lost", run)
    assert ("Yes, give up as lost" in answer.content.decode(), status(run)) == (True, "running")


def test_only_who_may_change_runs_may_move_them() -> None:
    """Who may only look sees neither buttons nor actions, and is refused."""
    run, looker = make_run(), staff("view_run")
    shown = page(looker, change(run)) + page(looker, RUNS)
    refused = press(looker, "cancel", run).status_code
    act(looker, "cancel_runs", run)
    assert ("operate/" in shown, "cancel_runs" in shown) == (False, False)
    assert (refused, status(run)) == (403, "queued")


def test_who_may_change_runs_has_buttons() -> None:
    """A superuser is not needed."""
    run, mover = make_run(), staff("view_run", "change_run")
    shown = page(mover, change(run))
    press(mover, "cancel", run)
    assert ("operate/" in shown, status(run)) == (True, "cancelled")


@pytest.mark.parametrize(
    ("method", "verb", "code"), [("get", "cancel", 405), ("post", "odd", 404), ("post", "", 404)]
)
def test_other_requests_do_nothing(operator: Client, method: str, verb: str, code: int) -> None:
    """A verb comes by POST and is one of three."""
    run = make_run()
    answer = getattr(operator, method)(f"{RUNS}{run.pk}/operate/", {"verb": verb})
    assert (answer.status_code, status(run)) == (code, "queued")


def test_buttons_need_the_token(operator: Client) -> None:
    """A page elsewhere cannot press them."""
    run, browser = make_run(), Client(enforce_csrf_checks=True)
    browser.cookies = operator.cookies
    assert (press(browser, "cancel", run).status_code, status(run)) == (403, "queued")


def test_too_many_at_once_are_refused(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that took minutes would be ended half-way."""
    monkeypatch.setattr("comp_core.admin.runs.MOST_AT_ONCE", 1)
    runs = [make_run(), make_run()]
    answer = act(operator, "cancel_runs", *runs)
    assert (told(answer)[0][:34], [status(run) for run in runs]) == (
        "Choose at most 1 runs at a time. T",
        ["queued", "queued"],
    )


def test_the_page_tells_the_whole_story(operator: Client) -> None:
    """Interrupted attempts by number, the attempt that ended it, what it printed: as text."""
    first = lifecycle.requeue(make_claimed())
    run = lifecycle.claim(first.queue, worker_id="second")
    assert run is not None
    assert run.lease_token is not None
    words = {"traceback": "<b>\x1b[31mline 3", "stdout_tail": "bell\x07"}
    outcome = lifecycle.Outcome(status=RunStatus.FAILED, error_message="No.", **words)
    lifecycle.finish(run.pk, run.lease_token, outcome)
    shown = page(operator, change(run))
    expected = ["<td>1</td><td>tests</td>", "Put back by an operator", "<td>2</td><td>second</td>"]
    expected += ["&lt;b&gt;line 3</pre>", "bell\u2407</pre>", "It costs nothing."]
    assert [text for text in expected if text not in shown] == []


def test_outputs_are_linked_until_they_are_removed(operator: Client, tmp_path: Any) -> None:
    """By the pages' own download."""
    run = finished_run(tmp_path / "made", [File("a.txt", "12345")])
    link = f'href="/models/runs/{run.pk}/outputs/1/"'
    kept = page(operator, change(run))
    Run.objects.filter(pk=run.pk).update(outputs_pruned_at=run.created)
    pruned = page(operator, change(run))
    assert (link in kept, link in pruned, "5\xa0bytes" in pruned) == (True, False, True)


@pytest.mark.parametrize("wanted", ["silent", "waiting"])
def test_stuck_runs_are_found(operator: Client, wanted: str) -> None:
    """Those whose worker fell silent, and those that wait for more than ten minutes."""
    silent, waiting, _ = make_claimed(), make_run(), make_run()
    expire(silent)
    Run.objects.filter(pk=waiting.pk).update(queued_at="2020-01-01T00:00Z")
    found = operator.get(RUNS, {"stuck": wanted}).context["cl"].result_list
    expected = {"silent": silent.pk, "waiting": waiting.pk}
    assert [run.pk for run in found] == [expected[wanted]]


@pytest.mark.parametrize(
    "query", ["queue=default", "status__exact=queued", "held__exact=0", "q={id}", "q={part}"]
)
def test_the_list_is_filtered_and_searched(operator: Client, query: str) -> None:
    """By queue, status, held; by an id, whole or in part."""
    run = make_run()
    address = f"{RUNS}?{query.format(id=run.pk, part=str(run.pk)[:6])}"
    assert [found.pk for found in operator.get(address).context["cl"].result_list] == [run.pk]


@pytest.mark.parametrize("address", [RUNS, "/admin/comp_core/worker/"])
def test_lists_cost_the_same_however_long(operator: Client, address: str) -> None:
    """No statement for each row."""
    _busy_worker("w1")
    operator.get(address)
    with statements() as few:
        operator.get(address)
    _busy_worker("w2")
    _busy_worker("w3")
    with statements() as many:
        operator.get(address)
    assert len(many) == len(few)


def _busy_worker(name: str) -> Run:
    """A worker that is at a run."""
    run = make_run()
    Worker.objects.create(id=name, queues="default", started_at=run.created, seen_at=run.created)
    claimed = lifecycle.claim(run.queue, worker_id=name)
    assert claimed is not None
    return claimed


def test_the_list_reads_no_large_texts(operator: Client) -> None:
    """A hundred rows of tracebacks and manifests would be megabytes."""
    make_run()
    with statements() as sql:
        operator.get(RUNS)
    rows = [statement for statement in sql if '"comp_core_run"."start_tag"' in statement]
    assert [name for name in ("traceback", "stdout_tail", '."outputs"') if name in rows[-1]] == []


def test_a_worker_shows_what_it_is_at(operator: Client) -> None:
    """With a link to the runs."""
    run = _busy_worker("host:1:abc")
    shown = page(operator, "/admin/comp_core/worker/")
    link = re.search(r'href="(/admin/comp_core/run/\?[^"]+)">1 run<', shown)
    assert link is not None
    found = operator.get(link[1].replace("&amp;", "&")).context["cl"].result_list
    assert [each.pk for each in found] == [run.pk]


def test_limits_are_set_on_the_profile(operator: Client) -> None:
    """Of somebody who floods the queue; empty means what the site allows everybody."""
    profile = make_profile()
    data = {"display_name": "Ada", "max_running_runs": "2", "max_queued_runs": "0"}
    answer = operator.post(f"/admin/comp_users/profile/{profile.pk}/change/", data)
    profile.refresh_from_db()
    limits = (profile.max_running_runs, profile.max_queued_runs, profile.spending_cap)
    assert (answer.status_code, limits) == (302, (2, 0, None))


def test_messages_are_bounded(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many runs that were left alone the first are told one by one."""
    monkeypatch.setattr("comp_core.admin.runs.MOST_TOLD", 1)
    runs = [ended_run(status=FAILURE.status), ended_run(status=FAILURE.status)]
    answer = act(operator, "cancel_runs", *runs)
    assert (len(told(answer)), told(answer)[-1]) == (3, "1 more run was left alone.")
