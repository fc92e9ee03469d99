"""The demonstration's words and its folder."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo.exceptions import DemoError, FolderTaken
from demo.figures import InvoiceFigures
from demo.folder import claimed, end_leftovers, remember, require_readable
from demo.management.commands.comp_demo import Command, port_number
from demo.processes import Processes
from demo.report import settlement
from django.core.management import CommandError, call_command


def invoice(**values: Any) -> InvoiceFigures:
    """A paid invoice of three cents, carried over."""
    given = {"status": "paid", "total": 3, "charged": 0, "carried_over": 3, **values}
    return InvoiceFigures(invoice="A-1", events=("invoice.paid",), **given)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "Paid without a charge: $0.03 is below Stripe's least charge and was carried over, "
             "on the customer's balance, to the next invoice."),
        ({"total": 90, "charged": 90, "carried_over": 0}, "$0.90 was charged to the card."),
        ({"total": 90, "charged": 93, "carried_over": -3},
         "$0.93 was charged to the card: $0.90 and $0.03 carried over from before."),
        ({"carried_over": -3}, "Paid without a charge: $0.03 came from the customer's balance."),
        ({"status": "open"}, "$0.03 is not paid yet: the invoice is open."),
    ],
)  # fmt: skip
def test_the_story_says_where_the_money_came_from(values: dict[str, Any], sentence: str) -> None:
    """Small invoices are paid without a charge, which would otherwise look like a mistake."""
    assert settlement(invoice(**values), "usd") == sentence


@pytest.mark.parametrize(
    ("figures", "agrees"),
    [
        (invoice(), True),
        (invoice(carried_over=2), False),
        (InvoiceFigures(invoice="A", status="paid", total=0, charged=0, carried_over=0, events=()),
         False),
    ],
)  # fmt: skip
def test_an_invoice_agrees_when_all_of_it_is_accounted_for(
    figures: InvoiceFigures, agrees: bool
) -> None:
    """Charged or carried over, and told by a signed event."""
    assert figures.agrees is agrees


def test_a_folder_has_one_demonstration_at_a_time(tmp_path: Path) -> None:
    """The second is told in words; after the first, the folder is free."""
    with claimed(tmp_path), pytest.raises(FolderTaken, match="Another demonstration is running"):
        claimed(tmp_path).__enter__()
    with claimed(tmp_path):
        pass


@pytest.fixture
def left_running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that a killed demonstration has written down."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        remember(tmp_path, [process.pid])
        yield process
        process.kill()


def test_what_a_killed_demonstration_left_running_is_ended(
    tmp_path: Path, left_running: subprocess.Popen[bytes]
) -> None:
    """Once: the second look finds nothing."""
    found = [end_leftovers(tmp_path), end_leftovers(tmp_path)]
    assert (found, left_running.poll() is None) == ([True, False], False)


def test_a_process_that_only_has_the_same_number_is_spared(
    tmp_path: Path, left_running: subprocess.Popen[bytes]
) -> None:
    """Numbers are given again; the time of birth must be the one that was written down."""
    (tmp_path / "processes.json").write_text(json.dumps({str(left_running.pid): 1.0}))
    assert (end_leftovers(tmp_path), left_running.poll()) == (False, None)


@pytest.mark.parametrize("name", ["", "missing.csv"])
def test_a_file_that_cannot_be_read_is_told_before_anything_starts(
    tmp_path: Path, name: str
) -> None:
    """A directory or nothing at all."""
    with pytest.raises(DemoError, match="cannot be read"):
        require_readable(tmp_path / name)


@pytest.mark.parametrize("text", ["0", "-1", "65536", "http"])
def test_ports_are_what_the_system_has(text: str) -> None:
    """Told by the option's own error, not by a traceback."""
    with pytest.raises(ArgumentTypeError, match="ports are 1 to 65535"):
        port_number(text)


def test_another_terminal_can_run_commands_on_the_site(tmp_path: Path) -> None:
    """A file for the shell, its owner's only, has what the site was started with."""
    processes = Processes(tmp_path)
    processes.tell({"SITE_URL": "http://127.0.0.1:1/?it's=$HOME"})

    path = processes.write_environment()

    read = ["sh", "-c", f". '{path}'; printf %s \"$SITE_URL\""]
    shown = subprocess.run(read, capture_output=True, text=True, check=True).stdout
    assert (shown, path.stat().st_mode & 0o777) == ("http://127.0.0.1:1/?it's=$HOME", 0o600)


@pytest.mark.parametrize(("is_told", "status"), [(False, 130), (True, 0)])
def test_success_means_that_the_story_was_told(
    monkeypatch: pytest.MonkeyPatch, is_told: bool, status: int
) -> None:
    """Ctrl+C ends the serving of a finished story, and breaks an unfinished one off."""

    def interrupted(command: Command, *args: Any) -> None:
        command._is_told = is_told
        raise KeyboardInterrupt

    monkeypatch.setattr(Command, "_demonstrate", interrupted)
    try:
        call_command(Command(), stdout=io.StringIO())
        found = 0
    except CommandError as error:
        found = error.returncode
    assert found == status
