"""The webhooks of a running web server, and everything that can be sent through a socket."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from random import Random
from typing import Any

import pytest

from tests.core.live import ROOT, Live, live
from tests.hostile_webhooks.attempts import at_random, catalogue, signed
from tests.hostile_webhooks.genuine import genuine_events
from tests.hostile_webhooks.sockets import CUT_OFF, Line, ill_mannered, oversized, wire_of
from tests.hostile_webhooks.values import padded
from tests.hostile_webhooks.wsgi import rows

__all__ = ["live"]

FORGED = int(os.environ.get("COMP_HOSTILE_REQUESTS", "3000")) // 10
MIB = 1 << 20


@pytest.fixture
def line(live: Live) -> Line:
    """The way to a server on this test's database."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.hostile_webhooks.server"],
        env=live.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    live.processes.append(process)
    assert process.stdout is not None
    with process.stdout as said:
        return Line(int(said.readline()))


def answers_to(line: Line, requests: Any) -> Counter[int]:
    """How often each status was answered; nobody waits for what was half sent."""
    return Counter(
        line.status(itertools.chain.from_iterable(pieces), hang_up=True) for pieces in requests
    )


def test_nothing_on_the_wire_is_an_error_or_a_row_or_fills_the_memory(line: Line) -> None:
    """A hundred mebibytes, declared or not, half requests, lies about lengths, forgeries."""
    line.status(wire_of(signed(padded(genuine_events()[0], MIB))))
    peak, before = line.get("/peak"), rows()
    random = (one for one in at_random(Random(3)) if not one.is_stripes)
    forged = [one for one in catalogue() if not one.is_stripes]
    forged += itertools.islice(random, FORGED)

    answers = answers_to(line, [[wire_of(one)] for one in forged])
    answers += answers_to(line, oversized())
    answers += answers_to(line, ill_mannered())

    grown, new = (line.get("/peak") - peak) / 1024, rows() - before
    faults = sum(count for status, count in answers.items() if status >= 500)
    sys.stdout.write(
        f"over HTTP: requests tried / 5xx / rows = {answers.total()} / {faults} / {new};"
        f" {answers[CUT_OFF]} cut off; memory {peak / 1024:.0f} MiB, grown by {grown:.1f} MiB\n"
    )
    assert (faults, new, grown < 16) == (0, 0, True)
    assert answers[400] + answers[413] > answers.total() * 0.8
