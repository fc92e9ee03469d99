"""What may happen to a run at the same moment, and what must hold whatever came first."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest
from django.db.models import Sum
from django.db.models.functions import Now
from django_tasks_db.models import DBTaskResult

from comp_billing import catalog
from comp_billing.models import Reservation, UsageRecord
from comp_core import lifecycle
from comp_core.exceptions import RunHasEnded
from comp_core.lifecycle import Outcome
from comp_core.models import Attempt, Run
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_core.signals import run_finished
from comp_core.status import TERMINAL, RunStatus
from comp_users.models import Profile
from tests.billing.builders import Site
from tests.core.builders import expire, make_inputs
from tests.core.concurrency import Duel


@dataclass
class Case:
    """A run, the tokens that were ever given out for it, and the outcomes that were accepted."""

    stage: Stage
    run: Run
    inputs: Any
    chance: Random | None = None
    # By attempt.
    tokens: dict[int, uuid.UUID] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    # Of the same owner, under way before it.
    other: Case | None = None

    @property
    def token(self) -> uuid.UUID:
        """The first worker's, or any that was ever given out."""
        tokens = list(self.tokens.values()) or [uuid.uuid4()]
        return self.chance.choice(tokens) if self.chance else tokens[0]

    def finish(self, status: RunStatus) -> bool:
        """An attempt's end, whose manifest says whose it is."""
        token = self.token
        mark = f"{status} by {token}"
        outcome = Outcome(
            status=status, seconds=Decimal("2.5"), outputs=[{"id": mark}], error_type="Own"
        )
        ended = lifecycle.finish(self.run.pk, token, outcome)
        self.accepted += [mark] * ended
        return ended

    def claim(self) -> bool:
        """Another worker claims whatever comes first."""
        claimed = lifecycle.claim("default", worker_id="another")
        if claimed is not None and claimed.lease_token is not None:
            self.stage.cases[claimed.pk].tokens[claimed.attempt] = claimed.lease_token
        return claimed is not None

    def take_over(self) -> bool:
        """An operator puts the run back and another worker claims it, at once."""
        with suppress(RunHasEnded):
            lifecycle.requeue(self.run)
        return self.claim()

    def end_the_other(self) -> bool:
        """The owner's run before it ends."""
        return self.other is not None and self.other.finish(RunStatus.SUCCEEDED)


VERBS: dict[str, Callable[[Case], Any]] = {
    "succeed": lambda case: case.finish(RunStatus.SUCCEEDED),
    "fail": lambda case: case.finish(RunStatus.FAILED),
    "obey a cancel": lambda case: case.finish(RunStatus.CANCELLED),
    "cancel": lambda case: lifecycle.cancel(case.run).status,
    "reap": lambda case: lifecycle.reap(),
    "abort overdue": lambda case: lifecycle.abort_overdue(),
    "requeue": lambda case: lifecycle.requeue(case.run).status,
    "give up": lambda case: lifecycle.mark_lost(case.run).status,
    "release": lambda case: lifecycle.release(case.run.pk, case.token),
    "heartbeat": lambda case: lifecycle.heartbeat(case.run.pk, case.token, progress=0.5),
    "claim": Case.claim,
    "take over": Case.take_over,
    "submit again": lambda case: lifecycle.submit(case.inputs, idempotency_key="k").pk,
    "submit another": lambda case: case.stage.case().run.pk,
    "admit": lambda case: lifecycle.admit_held(),
    "end the other": Case.end_the_other,
}
ENDS = ("succeed", "cancel", "reap", "requeue", "give up", "release", "take over")
# Of which verbs every two meet, each as the first and as the second, over a run in what state.
SCENES: dict[str, tuple[str, ...]] = {
    "silent": (*ENDS, "fail", "heartbeat"),
    "silent in its last attempt": ("succeed", "reap", "requeue", "give up", "take over"),
    "silent and to be cancelled": ("obey a cancel", "reap", "requeue", "give up", "release"),
    "waiting": ("cancel", "claim", "requeue", "give up", "take over", "submit again"),
    "overdue": ("cancel", "claim", "requeue", "abort overdue", "submit again"),
    "held": ("cancel", "admit", "end the other", "submit another", "take over"),
}
CHANGES: dict[str, dict[str, Any]] = {
    "silent in its last attempt": {"max_attempts": 1},
    "silent and to be cancelled": {"cancel_requested_at": Now()},
    "overdue": {"start_deadline_at": Now() - timedelta(seconds=1)},
}
ORDERS = [(scene, verb) for scene, verbs in SCENES.items() for verb in verbs]


@dataclass
class Stage:
    """A site that bills, a subscriber, the runs of the scene, and what was heard of their ends."""

    owner: Profile
    heard: list[uuid.UUID] = field(default_factory=list)
    cases: dict[uuid.UUID, Case] = field(default_factory=dict)
    limit: int | None = None
    # Tickets beyond one for each claim.
    spare: int = 4

    def case(self, scene: str = "waiting", chance: Random | None = None) -> Case:
        """A run in such a state."""
        if scene == "held":
            return self._held()
        inputs = make_inputs(owner=self.owner)
        case = Case(self, lifecycle.submit(inputs), inputs, chance)
        self.cases[case.run.pk] = case
        if scene.startswith("silent"):
            case.claim()
            expire(case.run)
        if scene in CHANGES:
            Run.objects.filter(pk=case.run.pk).update(**CHANGES[scene])
        return case

    def _held(self) -> Case:
        """Two runs wait behind one that is under way."""
        self.allow(1)
        other = self.case()
        other.claim()
        case, _ = self.case(), self.case()
        case.other = other
        return case

    def allow(self, limit: int | None) -> None:
        """So many runs of the owner may be under way at a time."""
        self.limit = limit
        Profile.objects.filter(pk=self.owner.pk).update(max_running_runs=limit)

    def listen(self, run: Run, **kwargs: Any) -> None:
        self.heard.append(run.pk)

    def clear(self) -> None:
        """End what is open, so that it is in nobody's way, and forget."""
        Run.objects.filter(finished_at__isnull=True).update(
            status=RunStatus.LOST, finished_at=Now(), lease_token=None, held=False
        )
        DBTaskResult.objects.all().delete()
        self.heard.clear()
        self.cases.clear()


@pytest.fixture
def stage(site: Site) -> Iterator[Stage]:
    """The doubling model on sale, and somebody who may run it."""
    project_for(get_spec("doubling"))
    catalog.set_up_catalog()
    found = Stage(site.subscriber("ada"))
    run_finished.connect(found.listen)
    yield found
    run_finished.disconnect(found.listen)


def explore(
    stage: Stage, duel: Duel, scene: str, first: str, *, seconds: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    """The first verb is held at each of its moments while each second one plays: what was wrong,
    by place. Runs of their own for each; ``seconds`` are the scene's own verbs otherwise."""
    found = {}
    for second in seconds or SCENES[scene]:
        for moment in count():
            case = stage.case(scene)
            wrong = duel.fight(
                partial(VERBS[first], case),
                partial(VERBS[second], case),
                hold_at=moment,
                meanwhile=partial(violations, stage, resting=False),
            )
            if wrong is None:
                stage.clear()
                break
            wrong += violations(stage)
            if wrong:
                found[f"{second} at {duel.first.passed[moment]}"] = wrong
            stage.clear()
    return found


def violations(
    stage: Stage, *, resting: bool = True, cases: Iterable[Case] | None = None
) -> list[str]:
    """What does not hold of the runs, of all or of these. Resting: nobody is at them, so that all
    news must be out."""
    wrong: list[str] = []
    for case in cases or list(stage.cases.values()):
        run = Run.objects.get(pk=case.run.pk)
        wrong += [*_money(run), *_attempts(run), *_announced(run, stage.heard, resting=resting)]
        wrong += _outcome(run, case) if resting else []
    if resting:
        wrong += _tickets(stage)
    return wrong + list(_share(stage, resting=resting))


def _money(run: Run) -> Iterator[str]:
    """Exactly one usage record iff it succeeded; what was held is settled at the end, once."""
    records = UsageRecord.objects.filter(run=run.pk).count()
    if records != (run.status == RunStatus.SUCCEEDED):
        yield f"{run.status} with {records} usage records"
    settled = list(Reservation.objects.filter(run=run.pk).values_list("settled_amount", flat=True))
    expected = (run.run_cost or Decimal(0)) if run.status in TERMINAL else None
    if settled != [expected]:
        yield f"{run.status} with {settled} settled"


def _attempts(run: Run) -> Iterator[str]:
    """Each attempt is under way, ended the run, or was interrupted: one of the three."""
    noted = list(
        Attempt.objects.filter(run=run.pk).order_by("number").values_list("number", flat=True)
    )
    last_is_the_runs = run.status == RunStatus.RUNNING or run.error_type == "Own"
    expected = list(range(1, run.attempt + 1 - last_is_the_runs))
    if noted != expected:
        yield f"{run.status} in attempt {run.attempt}, interrupted were {noted}"
    if (run.lease_token is not None) != (run.status == RunStatus.RUNNING):
        yield f"{run.status} with the lease {run.lease_token}"
    if run.status == RunStatus.QUEUED and run.cancel_requested_at is not None:
        yield "queued, and nobody to obey the wish to cancel it"


def _outcome(run: Run, case: Case) -> Iterator[str]:
    """The manifest is that of the one attempt that was told it had ended the run: the last."""
    kept = [entry["id"] for entry in run.outputs]
    last = f"{run.status} by {case.tokens.get(run.attempt)}"
    if kept != case.accepted or kept not in ([], [last]):
        yield f"{last}: the outputs are {kept}, accepted were {case.accepted}"


def _announced(run: Run, heard: list[uuid.UUID], *, resting: bool) -> Iterator[str]:
    """The end is announced once, and not before it is committed."""
    ended, times = run.status in TERMINAL, heard.count(run.pk)
    if times > ended or (resting and times < ended):
        yield f"{run.status}, announced {times} times"


def _tickets(stage: Stage) -> Iterator[str]:
    """There is a ticket for whoever may be claimed, and there are not many more."""
    runs = Run.objects.filter(pk__in=stage.cases)
    claims = runs.aggregate(claims=Sum("attempt"))["claims"]
    claims += runs.filter(status=RunStatus.QUEUED, held=False).count()
    tickets = DBTaskResult.objects.count()
    if not claims <= tickets <= claims + stage.spare:
        yield f"{claims} claims and {tickets} tickets"


def _share(stage: Stage, *, resting: bool) -> Iterator[str]:
    """Never more under way than may be; at rest nobody is held while there is room."""
    if stage.limit is None:
        return
    found = Run.objects.filter(owner=stage.owner, finished_at__isnull=True)
    under_way, held = found.filter(held=False).count(), found.filter(held=True).count()
    if under_way > stage.limit or (resting and held and under_way < stage.limit):
        yield f"{under_way} under way of {stage.limit}, {held} held"
