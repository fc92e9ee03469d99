"""The parts that actors play: who submits, works, cancels, operates, and what time does to it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from django.utils.module_loading import import_string
from django_tasks_db.models import DBTaskResult, TaskResultStatus

from comp_core import lifecycle
from comp_core.db import from_now
from comp_core.exceptions import InputsNotValid, RunHasEnded, RunIsNotRunning
from comp_core.inputs import save_inputs
from comp_core.models import Attempt, Run
from comp_core.outputs import sweeping
from comp_core.pruning import prune_logs, prune_outputs
from comp_core.status import InputsStatus, RunStatus
from comp_core.tickets import mend_tickets
from comp_core.unrun import prune_inputs
from comp_users.models import Profile
from tests.faults.scheduler import Actor
from tests.testapp.models import DoublingInputs, DoublingRun

Part = Callable[[Actor], None]
IDLE_TURNS = 7
# The model has ended, and its worker has not written so.
LATE = {"model:ended", "output:storing", "output:stored", "outputs:stored", "end:begin"}
OLD_DAYS = 10
CARES = (lifecycle.reap, lifecycle.reap, lifecycle.abort_overdue, lifecycle.admit_held)


@dataclass
class Wish:
    """One run that somebody wants, once, however often they ask.

    ``wished``: as soon as its inputs have been checked. ``forgotten``: the inputs are so old that
    they may be removed before they are submitted.
    """

    owner: Profile
    wished: bool
    key: str | None
    forgotten: bool = False
    inputs: DoublingInputs | None = None
    # What submits have answered.
    told: set[uuid.UUID] = field(default_factory=set)

    def run(self) -> Run | None:
        """The run as it stands, when there is one."""
        found = DoublingRun.objects.filter(inputs=self.inputs).values_list("pk", flat=True)
        return Run.objects.filter(pk__in=found).first() if self.inputs is not None else None


@dataclass
class Role:
    """What an actor is allowed to do to runs, for the judge."""

    name: str
    play: Part


# Who is needed for a step to be taken at all; the others take theirs anyway.
LEANINGS = {
    "renew": "operator",
    "ask_cancel": "canceller",
    "admit": "limit",
    **dict.fromkeys(("save_inputs", "verdict", "wish"), "wished"),
    **dict.fromkeys(("retire_inputs", "delete_inputs"), "forgotten"),
    **dict.fromkeys(("prune_outputs", "forget_paths", "prune_logs", "sweep"), "janitor"),
    **dict.fromkeys(("take_back", "output"), "clock"),
}


# Small casts for one kind of meeting: workers that come back late, or everybody at one run.
ZOMBIES, CROWD = "zombies", "crowd"


def leaning_of(point: str) -> str:
    return LEANINGS.get(point.split(":", maxsplit=1)[0], "")


class Casting:
    """Who takes part: a matter of chance, and of what an execution leans to."""

    def __init__(self, rng: Random, leaning: str) -> None:
        self.rng, self.leaning = rng, leaning

    def wants(self, name: str, chance: float) -> bool:
        return self.rng.random() < (0.95 if name == self.leaning else chance)

    def limits(self, profiles: list[Profile]) -> dict[int, int | None]:
        """How many runs each may have under way at a time."""
        some = (1, 1, 2) if self.leaning == "limit" else (None, None, 1, 2)
        return {profile.pk: self.rng.choice(some) for profile in profiles}

    def wishes(self, profiles: list[Profile]) -> list[Wish]:
        number = self.rng.choices((1, 2, 3), (5, 3, 2))[0]
        if self.leaning == "limit":
            number, profiles = max(number, 2), profiles[:1]
        if self.leaning in (ZOMBIES, CROWD):
            return [Wish(profiles[0], False, None, inputs=_checked(profiles[0]))]
        return [self._wish(self.rng.choice(profiles)) for _ in range(number)]

    def _wish(self, owner: Profile) -> Wish:
        forgotten = self.wants("forgotten", 0.08)
        wished = not forgotten and self.wants("wished", 0.35)
        key = str(uuid.UUID(bytes=self.rng.randbytes(16))) if self.rng.random() < 0.6 else None
        wish = Wish(owner, wished, key, forgotten)
        if not wished:
            wish.inputs = _checked(owner)
        if forgotten and wish.inputs is not None:
            mine = DoublingInputs.objects.filter(pk=wish.inputs.pk)
            mine.update(modified=from_now(-2 * OLD_DAYS * 86_400))
        return wish

    def roles(self, wishes: list[Wish]) -> list[Role]:
        if self.leaning in (ZOMBIES, CROWD):
            return self._few(wishes[0])
        rng, roles = self.rng, [Role("worker", work)] * self.rng.choices((1, 2, 3), (1, 5, 3))[0]
        for wish in wishes:
            clicks = [1] if wish.wished else rng.choices(range(3), (wish.forgotten * 5, 5, 4))
            roles += [Role("submitter", (asker if wish.wished else submitter)(wish))] * clicks[0]
        roles += [Role("caretaker", take_care)] * rng.choices((1, 2), (4, 1))[0]
        roles += [Role("clock", let_time_pass)] * self.wants("clock", 0.8)
        roles += [Role("submitter", canceller(rng.choice(wishes)))] * self.wants("canceller", 0.3)
        roles += [Role("operator", operator(rng.choice(wishes)))] * self.wants("operator", 0.35)
        roles += [Role("janitor", prune)] * self.wants("janitor", 0.2)
        roles += [Role("janitor", forget)] * any(wish.forgotten for wish in wishes)
        rng.shuffle(roles)
        return roles

    def _few(self, wish: Wish) -> list[Role]:
        roles = [Role("submitter", submitter(wish)), Role("clock", haunt)]
        roles += [Role("worker", work)] * 2
        if self.leaning == CROWD:
            roles += [Role("operator", operator(wish)), Role("submitter", canceller(wish))]
            roles += [Role("caretaker", take_care)]
        return roles


def _checked(owner: Profile) -> DoublingInputs:
    made: DoublingInputs = DoublingInputs.objects.create(owner=owner, status=InputsStatus.VALID)
    return made


def asker(wish: Wish) -> Part:
    """Saves inputs and wants them to be run once they are checked."""

    def play(actor: Actor) -> None:
        inputs = DoublingInputs(owner=wish.owner, number=2)
        wish.inputs = inputs
        save_inputs(inputs, run_request={"idempotency_key": wish.key})

    return play


def submitter(wish: Wish) -> Part:
    """Clicks once; another one of them is the double click, or the browser that asks again."""

    def play(actor: Actor) -> None:
        inputs = DoublingInputs.objects.filter(pk=wish.inputs.pk).first()
        try:
            if inputs is not None:
                wish.told.add(lifecycle.submit(inputs, idempotency_key=wish.key).pk)
        except (InputsNotValid, DoublingInputs.DoesNotExist):
            if not wish.forgotten:
                raise

    return play


def work(actor: Actor) -> None:
    """A worker's process: takes tickets and executes them."""
    idle = 0
    while not actor.must_stop and idle < IDLE_TURNS:
        ticket = take_ticket()
        if ticket is None:
            idle += 1
            actor.park("idle")
        else:
            carry_out(ticket)


def take_ticket() -> DBTaskResult | None:
    """The oldest ticket that waits, as the tasks' own worker takes it."""
    ready = DBTaskResult.objects.ready().order_by("enqueued_at").first()
    if ready is None:
        return None
    mine = DBTaskResult.objects.filter(pk=ready.pk, status=TaskResultStatus.READY)
    return ready if mine.update(status=TaskResultStatus.RUNNING) else None


def carry_out(ticket: DBTaskResult) -> None:
    given = ticket.args_kwargs
    import_string(ticket.task_path).call(*given["args"], **given["kwargs"])


def let_time_pass(actor: Actor) -> None:
    """Leases run out, and deadlines for starting, without anybody waiting for them."""
    for _ in range(actor.rng.randint(2, 6)):
        for _ in range(actor.rng.randrange(6)):
            actor.park("clock")
        if actor.rng.random() < 0.9:
            stall(actor)
        else:
            waiting = Run.objects.filter(status=RunStatus.QUEUED)
            waiting.update(start_deadline_at=from_now(-1))


def stall(actor: Actor) -> None:
    """A worker falls silent past its lease; its run is given to others before it comes back."""
    running = Run.objects.filter(status=RunStatus.RUNNING)
    chosen = sorted(running.values_list("pk", "worker_id"))
    if not chosen:
        return
    pk, worker = actor.rng.choice(chosen)
    running.filter(pk=pk).update(lease_expires_at=from_now(-1))
    for holder in everybody():
        if holder.name == worker:
            holder.nap = actor.rng.choice((0, 10, 20, 40))
    if actor.rng.random() < 0.6:
        lifecycle.reap()


def everybody() -> list[Actor]:
    return [thread for thread in threading.enumerate() if isinstance(thread, Actor)]


def haunt(actor: Actor) -> None:
    """Whoever works falls silent, again and again; often when only the end is left to write."""
    for _ in range(8):
        late = actor.rng.random() < 0.6
        for _ in range(25 if late else actor.rng.randint(1, 8)):
            actor.park("clock")
            if late and any(other.place in LATE for other in everybody()):
                break
        stall(actor)


def take_care(actor: Actor) -> None:
    """The maintenance loops, in any order."""
    for _ in range(actor.rng.randint(2, 5)):
        actor.park("caretaker")
        actor.rng.choice((*CARES, mend))()


def mend() -> None:
    """Look for lost tickets as if what waits had done so for long enough."""
    pending = DoublingInputs.objects.filter(status=InputsStatus.PENDING)
    pending.update(modified=from_now(-1000))
    waiting = Run.objects.filter(status=RunStatus.QUEUED)
    waiting.update(queued_at=from_now(-100), modified=from_now(-100))
    mend_tickets()


def wait_for(wish: Wish, actor: Actor) -> Run | None:
    """The run at some moment; often at one at which it runs."""
    wanted = actor.rng.choice((None, RunStatus.RUNNING))
    for _ in range(actor.rng.randint(1, 14)):
        actor.park("looking")
        run = wish.run()
        if wanted is not None and run is not None and run.status == wanted:
            break
    return wish.run()


def canceller(wish: Wish) -> Part:
    """Changes their mind."""

    def play(actor: Actor) -> None:
        run = wait_for(wish, actor)
        if run is not None:
            lifecycle.cancel(run)

    return play


def operator(wish: Wish) -> Part:
    """Puts a run back into the queue, or gives it up."""

    def play(actor: Actor) -> None:
        run = wait_for(wish, actor)
        verb = actor.rng.choice((lifecycle.requeue, lifecycle.requeue, lifecycle.mark_lost))
        if run is not None:
            try:
                verb(run)
            except (RunHasEnded, RunIsNotRunning):
                return

    return play


def prune(actor: Actor) -> None:
    """Retention, at its strictest: whatever has ended goes."""
    for _ in range(actor.rng.randint(1, 3)):
        for _ in range(actor.rng.randint(1, 15)):
            actor.park("janitor")
        prune_ended()
    sweep()


def forget(actor: Actor) -> None:
    """Retention of inputs that nobody has run."""
    for _ in range(actor.rng.randrange(6)):
        actor.park("janitor")
    prune_inputs(OLD_DAYS)


def prune_ended() -> None:
    """As if every run had ended long ago."""
    prune_outputs(-1)
    prune_logs(-1)


def sweep() -> None:
    """As if every interruption were so long ago that its worker must have given up."""
    Attempt.objects.filter(swept_at__isnull=True).update(ended_at=from_now(-1_000_000))
    sweeping.sweep()
