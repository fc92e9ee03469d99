"""The page of a run: the truth about its state, its results and its cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from comp_core import previews
from comp_core.lifecycle import cancel, heartbeat
from comp_core.models import Run, Worker
from comp_core.outputs import Chart, File, Table
from comp_core.outputs.store import delete_outputs
from comp_core.status import RunStatus
from tests.core.builders import make_claimed, make_profile, make_run
from tests.core.pages import ended_run, finished_run, page_of, staff_visitor, visitor

pytestmark = pytest.mark.django_db


def shown(run: Run, client: Client | None = None) -> str:
    """The run's page, without the white space between its elements."""
    text = (client or visitor(run.owner)).get(page_of(run)).content.decode()
    return re.sub(r">\s+<", "><", text)


def test_a_queued_run_waits_for_free() -> None:
    """It says that it waits, that waiting costs nothing, and that it can be cancelled."""
    text = shown(make_run())
    assert "<title>Queued · Doubling</title>" in text
    assert "Nothing is charged for waiting." in text
    assert "Cancel this run" in text


def test_without_a_worker_the_page_says_so() -> None:
    """A run that nobody will take up is not passed off as merely waiting."""
    assert "No worker has been seen for a while." in shown(make_run())


def test_with_a_worker_it_does_not() -> None:
    """A worker that was seen just now is there."""
    now = timezone.now()
    Worker.objects.create(id="w", queues="default", started_at=now, seen_at=now)
    assert "No worker has been seen" not in shown(make_run())


def test_a_running_run_shows_progress_in_words_and_as_a_bar() -> None:
    """Title, words, a labelled progress element; without JavaScript the page refreshes itself."""
    run = make_claimed()
    heartbeat(run.pk, run.lease_token, progress=0.42, message="Day 67")
    text = shown(run)
    assert "<title>42 % · Doubling</title>" in text
    assert "Day 67" in text
    assert '<label for="run-progress"' in text
    assert '<progress id="run-progress" max="100" value="42">42 %</progress>' in text
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in text


def test_a_run_that_is_being_cancelled_says_so() -> None:
    """And has no second cancel button."""
    run = make_claimed()
    cancel(run)
    text = shown(run)
    assert ("Being cancelled" in text, "Cancel this run" in text) == (True, False)


def test_the_changing_part_asks_again_until_the_run_ends() -> None:
    """The fragment of a running run carries its own trigger and the page's new title."""
    run = make_claimed()
    answer = visitor(run.owner).get(f"{page_of(run)}status/", headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert text.startswith("<title>0 % · Doubling</title>")
    assert 'hx-trigger="load delay:1s"' in text
    assert "HX-Refresh" not in answer.headers


def test_at_the_end_the_page_is_loaded_anew() -> None:
    """The fragment of a finished run has no trigger and asks for the whole page."""
    run = ended_run(status=RunStatus.FAILED, error_message="No.")
    answer = visitor(run.owner).get(f"{page_of(run)}status/")
    assert answer.headers["HX-Refresh"] == "true"
    assert "hx-trigger" not in answer.content.decode()


def test_screen_readers_hear_what_changed_and_nothing_else() -> None:
    """The news are sent again only when status or quarter have changed."""
    run = make_claimed()
    client = visitor(run.owner)
    changed = client.get(f"{page_of(run)}status/?step=queued-0").content.decode()
    same = client.get(f"{page_of(run)}status/?step=running-0").content.decode()
    assert ('id="run-news"' in changed, 'id="run-news"' in same) == (True, False)


def test_programs_get_the_status_as_json() -> None:
    """By the Accept header."""
    run = make_claimed()
    answer = visitor(run.owner).get(
        f"{page_of(run)}status/", headers={"Accept": "application/json"}
    )
    assert answer.json() == {
        "status": "running",
        "progress": 0.0,
        "message": "",
        "finished": False,
    }


def test_results_are_text_whatever_a_model_returns(tmp_path: Path) -> None:
    """Titles, columns and cells of a hostile model are escaped."""
    evil = "<script>alert(1)</script>"
    run = finished_run(
        tmp_path / "made",
        [Table(evil, [evil], [[evil]]), Chart(evil, {"data": {"values": [{evil: evil}]}}, evil)],
    )
    text = shown(run)
    assert (evil in text, "&lt;script&gt;alert(1)&lt;/script&gt;" in text) == (False, True)


def test_long_tables_are_cut_and_say_so(tmp_path: Path, settings: Any) -> None:
    """As many rows as the setting says; the download has the rest."""
    settings.COMP_CORE = {"MAX_ROWS_SHOWN": 3}
    rows = [[n] for n in range(1000, 1009)]
    text = shown(finished_run(tmp_path / "made", [Table("Long", ["n"], rows)]))
    assert (">1002<" in text, ">1003<" in text, "The first 3 rows are shown" in text) == (
        True,
        False,
        True,
    )


def test_a_chart_has_words_and_its_data(tmp_path: Path) -> None:
    """The alternative text is shown, and the data as a table."""
    spec = {"mark": "line", "data": {"values": [{"day": 1, "people": 2.5}]}}
    text = shown(finished_run(tmp_path / "made", [Chart("Course", spec, "It rises.")]))
    assert "It rises." in text
    assert '<td class="number">2.5</td>' in text


@pytest.mark.parametrize(
    "spec", [{}, {"data": []}, {"data": {"url": "x"}}, {"data": {"values": [1, [2], None]}}]
)
def test_charts_without_a_table_inside_do_no_harm(tmp_path: Path, spec: dict[str, object]) -> None:
    """Specifications of other shapes leave the page whole."""
    run = finished_run(tmp_path / "made", [Chart("Odd", spec)])
    assert visitor(run.owner).get(page_of(run)).status_code == 200


def test_outputs_that_are_gone_do_no_harm(tmp_path: Path) -> None:
    """After their files were pruned the page still stands and the download is a 404."""
    run = finished_run(tmp_path / "made", [Table("Gone", ["a"], [[1]])])
    delete_outputs(run.outputs)
    client = visitor(run.owner)
    text = shown(run, client)
    code = client.get(f"{page_of(run)}outputs/1/").status_code
    assert ("This output can no longer be shown." in text, code) == (True, 404)


def test_the_receipt_can_be_worked_out_by_hand(tmp_path: Path) -> None:
    """1.5 seconds at 36 an hour are one and a half cents."""
    text = shown(finished_run(tmp_path / "made", []))
    assert "0.015\N{NARROW NO-BREAK SPACE}USD" in text
    assert "= 1.5\N{NARROW NO-BREAK SPACE}s × 36\N{NARROW NO-BREAK SPACE}USD ÷ 3600 s" in text


@pytest.mark.parametrize(
    "status",
    [RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.CANCELLED, RunStatus.LOST],
)
def test_runs_that_did_not_succeed_are_not_charged(status: RunStatus) -> None:
    """The author's message first, then that nothing is charged."""
    text = shown(ended_run(status=status, error_message="The <b>table</b> is empty."))
    assert text.index("The &lt;b&gt;table&lt;/b&gt; is empty.") < text.index("not charged")


@pytest.mark.parametrize(
    ("status", "colour", "way_out"),
    [
        (RunStatus.FAILED, "notice bad", "You can change the inputs and run it again."),
        (RunStatus.TIMED_OUT, "notice bad", "You can change the inputs and run it again."),
        (RunStatus.LOST, "notice bad", "You can run it again."),
        (RunStatus.CANCELLED, "notice", "You can run it again."),
    ],
)
def test_the_end_is_told_once_with_a_way_out(status: RunStatus, colour: str, way_out: str) -> None:
    """What happened, the money, what to do; a run that the user stopped is not shown as a fault."""
    text = shown(ended_run(status=status, error_message="It ended so."))
    end = text[text.index(f'<div class="{colour}">') : text.index("Inputs</h2>")]
    words = ("It ended so.", "This run was not charged.", way_out)
    assert [end.count(word) for word in words] == [1, 1, 1]
    assert "The run was" not in end


def test_sizes_are_those_of_the_downloads(tmp_path: Path) -> None:
    """A table is stored larger than it is saved; only a file's size is known beforehand."""
    outputs = [Table("Few", ["a"], [[1]]), File("few.txt", "12345")]
    text = shown(finished_run(tmp_path / "made", outputs))
    downloads = text[text.index("Downloads</h2>") : text.index("Receipt</h2>")]
    assert (downloads.count("bytes"), "5\xa0bytes" in downloads) == (1, True)


def test_technical_words_are_for_owner_and_staff() -> None:
    """Others who see a public run see neither traceback nor what the model printed."""
    run = ended_run(
        status=RunStatus.FAILED, error_message="No.", traceback="line 3", stdout_tail="printed"
    )
    Run.objects.filter(pk=run.pk).update(is_public=True)
    pages = [
        shown(run),
        shown(run, staff_visitor(make_profile())),
        shown(run, visitor(make_profile())),
        shown(run, Client()),
    ]
    seen = [("line 3" in text, "printed" in text) for text in pages]
    assert seen == [(True, True), (True, True), (False, False), (False, False)]


def test_the_inputs_of_a_run_are_shown(tmp_path: Path) -> None:
    """By their labels."""
    text = shown(finished_run(tmp_path / "made", [File("a.txt", "a")]))
    assert "<dt>Number</dt><dd>1</dd>" in text


def test_an_empty_list_of_runs_shows_the_way() -> None:
    """Somebody new is sent to the models."""
    text = visitor(make_profile()).get("/models/runs/").content.decode()
    assert "You have not run a model yet." in text
    assert 'href="/models/"' in text


def test_pages_need_no_inline_script_or_style(tmp_path: Path) -> None:
    """A strict content security policy can be put on the whole site."""
    run = finished_run(tmp_path / "made", [Table("T", ["a"], [[1]])])
    pages = shown(run) + shown(make_run(owner=run.owner))
    assert [mark for mark in ("<style", " style=", "onclick", "<script>") if mark in pages] == []


@pytest.mark.parametrize(
    "forged",
    [
        b'{"columns": 5, "rows": [\n]}\n',
        b'{"columns": null, "rows": [\n[1]\n]}\n',
        b'{"columns": ' + b"[" * 100_000 + b', "rows": [\n]}\n',
        b'{"columns": ["a"], "rows": [\n' + b"[" * 100_000 + b"\n]}\n",
    ],
)
def test_a_table_that_the_model_wrote_itself(tmp_path: Path, forged: bytes) -> None:
    """What is no table is offered for download, and the page stands."""
    run = finished_run(tmp_path / "made", [Table("Forged", ["a"], [[1]])])
    Path(default_storage.path(run.outputs[0]["path"])).write_bytes(forged)
    assert "forged.csv" in shown(run)


def test_a_table_with_a_huge_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page reads of a table is bounded; the rest is for the download."""
    monkeypatch.setattr(previews, "MAX_PREVIEW_BYTES", 1000)
    run = finished_run(tmp_path / "made", [Table("T", ["a"], [["first"], ["x" * 2000]])])
    text = shown(run)
    assert ("first" in text, "xxx" in text) == (True, False)
