"""The engine with one mistake at a time: each must be found by the checker.

A mutant replaces a piece of a function's own source, so it follows the code, and fails loudly when
that piece is no longer there.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from comp_core import inputs, lifecycle, runner, tickets
from comp_core.lifecycle import admission, ending, leasing, reaping, submission
from comp_core.outputs import sweeping
from tests.faults.casting import CROWD, QUITTERS, ZOMBIES
from tests.faults.ledger import DOUBLE, LOST, STUCK, WRONG

BOTH = ("sqlite", "postgresql")
# SQLite has one writer at a time: there these make no difference.
POSTGRES = ("postgresql",)
SUBCLASS = '__import__("tests.testapp.models").testapp.models.DoublingRun._default_manager'


@dataclass(frozen=True)
class Mutant:
    """A mistake: ``old`` becomes ``new`` in a function's source. It is found as one of ``kinds``,
    in executions that are about points beginning with ``about``, or without faults in those that
    have a ``leaning``."""

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    kinds: frozenset[str]
    about: str = ""
    leaning: str = ""
    databases: tuple[str, ...] = BOTH


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The mistake is made everywhere, however the function was imported."""
    source = textwrap.dedent(inspect.getsource(mutant.function))
    if source.count(mutant.old) != 1:
        raise LookupError(f"{mutant.name}: {mutant.old!r} does not stand once in the source.")
    text = source.replace(mutant.old, mutant.new)
    made = dict(mutant.function.__globals__)
    flags = __future__.annotations.compiler_flag
    exec(compile(text, f"<{mutant.name}>", "exec", flags=flags), made)  # noqa: S102
    function: Any = mutant.function
    original = function.__code__
    function.__code__ = made[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = original


def found_in(checker: Any, mutant: Mutant, patience: int) -> set[str]:
    """What a checker finds of a mistake, in the first of so many executions that finds anything."""
    pairs = checker.pairs
    checker.pairs = [pair for pair in pairs if pair[0].startswith(mutant.about)]
    try:
        with applied(mutant):
            results = (checker.execute(n, leaning=mutant.leaning) for n in range(patience))
            return next(({kind for kind, _ in one.found} for one in results if one.found), set())
    finally:
        checker.pairs = pairs


def kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


MUTANTS = [
    Mutant(
        "finish asks for the status only",
        lifecycle.finish,
        "Q(status=RunStatus.RUNNING, lease_token=token)",
        "Q(status=RunStatus.RUNNING)",
        kinds(WRONG),
        leaning=ZOMBIES,
    ),
    Mutant(
        "finish asks for nothing",
        ending.end_run,
        "leaving = guard & Q(status__in=sources_of(status))",
        "leaving = Q()",
        kinds(WRONG, DOUBLE),
        about="end",
    ),
    Mutant(
        "a heartbeat without its token",
        lifecycle.heartbeat,
        "status=RunStatus.RUNNING, lease_token=token)",
        "status=RunStatus.RUNNING)",
        kinds(WRONG),
        leaning=ZOMBIES,
    ),
    Mutant(
        "the record after the commit",
        ending.end_run,
        "        _tell_meter(run)\n        after_commit(_announce, run)",
        "    _tell_meter(run)\n    if True:\n        after_commit(_announce, run)",
        kinds(LOST),
        about="end:committed",
    ),
    Mutant(
        "a ticket before the commit",
        submission._submit,
        "after_commit(send_ticket, run.queue)",
        "send_ticket(run.queue)",
        kinds(WRONG),
    ),
    Mutant(
        "the end through a subclass's manager",
        ending.end_run,
        "same = Run.objects.filter(leaving, pk=run_id, lease_token=run.lease_token)",
        f"same = {SUBCLASS}.filter(leaving, pk=run_id, lease_token=run.lease_token)",
        kinds(WRONG, DOUBLE),
        leaning=CROWD,
        databases=POSTGRES,
    ),
    Mutant(
        "a requeue through a subclass's manager",
        leasing.take_back,
        "same = Run.objects.filter(guard, pk=run_id, lease_token=run.lease_token)",
        f"same = {SUBCLASS}.filter(guard, pk=run_id, lease_token=run.lease_token)",
        kinds(WRONG, DOUBLE),
        leaning=CROWD,
        databases=POSTGRES,
    ),
    Mutant(
        "the reaper forgets the meter",
        reaping._reap,
        "end_run(run_id, exhausted, RunStatus.LOST, words, interrupted=lost)",
        "bool(Run.objects.filter(exhausted, pk=run_id).update(status='lost', lease_token=None,"
        " finished_at=Now(), lease_expires_at=None))",
        kinds(LOST),
        leaning=ZOMBIES,
    ),
    Mutant(
        "the reaper does not look again",
        reaping.reap,
        "_reap(run_id, expired)",
        "_reap(run_id, Q(status=RunStatus.RUNNING))",
        kinds(WRONG),
        leaning=CROWD,
    ),
    Mutant(
        "a requeue that keeps the token",
        leasing._requeued,
        '"lease_token": None,',
        "",
        kinds(STUCK, WRONG),
        leaning=ZOMBIES,
    ),
    Mutant(
        "a claim under the same token",
        lifecycle.claim,
        "token = uuid.uuid4()",
        "token = uuid.UUID(int=1)",
        kinds(DOUBLE, WRONG),
        leaning=ZOMBIES,
    ),
    Mutant(
        "a claim that counts no attempt",
        lifecycle.claim,
        'attempt=F("attempt") + 1',
        'attempt=F("attempt")',
        kinds(DOUBLE),
        leaning=ZOMBIES,
    ),
    Mutant(
        "an interruption that nobody notes",
        leasing.take_back,
        "note_interruption(run, reason)",
        "pass",
        kinds(WRONG),
        leaning=ZOMBIES,
    ),
    Mutant(
        "what was to be cancelled is given back",
        lifecycle.release,
        "lease_token=token, cancel_requested_at__isnull=True",
        "lease_token=token",
        kinds(WRONG),
        leaning=QUITTERS,
    ),
    Mutant(
        "a blind save",
        lifecycle.cancel,
        "Run.objects.filter(\n            pk=run.pk, status=RunStatus.RUNNING,"
        " cancel_requested_at__isnull=True\n        )"
        ".update(cancel_requested_at=Now(), modified=Now())",
        "run.save() is None",
        kinds(WRONG, DOUBLE, LOST),
        leaning=CROWD,
    ),
    Mutant(
        "admission without a limit",
        admission._room,
        "return min(max(limit - under_way, 0), BATCH)",
        "return BATCH",
        kinds(WRONG),
        leaning="limit",
    ),
    Mutant(
        "an end that admits nobody, and no loop that does",
        admission.admit_held,
        "held = Run.objects.filter(held=True)",
        "return 0",
        kinds(STUCK),
        about="admit",
    ),
    Mutant(
        "the wish after the verdict",
        inputs.apply_check,
        "        if status == InputsStatus.VALID and inputs.run_request is not None:\n    ",
        "    if status == InputsStatus.VALID and inputs.run_request is not None:\n",
        kinds(LOST),
        about="verdict:committed",
    ),
    Mutant(
        "nobody mends tickets",
        tickets._mend_runs,
        "sent = 0",
        "return 0",
        kinds(STUCK),
        about="ticket",
    ),
    Mutant(
        "a sweep of the whole run",
        sweeping._left_after,
        "attempt_folder(attempt.run_id, attempt.number), kept_paths(attempt.run)",
        "run_folder(attempt.run_id), set()",
        kinds(LOST),
        leaning=ZOMBIES,
    ),
    Mutant(
        "whoever goes down takes the outputs along",
        runner._succeed,
        "    except Exception:\n",
        "    except BaseException:\n        delete_outputs(manifest)\n",
        kinds(LOST),
        about="end:committed",
    ),
]
