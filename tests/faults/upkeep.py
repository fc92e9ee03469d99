"""What time does to runs, and the loops that put it right; nobody waits for either."""

from __future__ import annotations

import threading

from comp_core import lifecycle
from comp_core.db import from_now
from comp_core.models import Attempt, Run
from comp_core.outputs import sweeping
from comp_core.retention.inputs import prune_inputs
from comp_core.retention.outputs import prune_logs, prune_outputs
from comp_core.status import InputsStatus, RunStatus
from comp_core.tickets import mend_tickets
from tests.faults.scheduler import Actor
from tests.testapp.models import DoublingInputs

CARES = (lifecycle.reap, lifecycle.reap, lifecycle.abort_overdue, lifecycle.admit_held)
# The model has ended, and its worker has not written so.
LATE = {"model:ended", "output:storing", "output:stored", "outputs:stored", "end:begin"}
# Inputs that nobody has run for so long may be forgotten.
OLD_DAYS = 10


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
            holder.nap = actor.rng.choice((0, 0, 10, 20, 40))
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


def carry_on() -> None:
    """What an interrupted removal has left is removed by the next; so are interrupted attempts'
    files."""
    prune_outputs(10_000)
    # A file that could not be removed is tried again in minutes; they have passed.
    sweeping._patience = sweeping.Patience()
    sweep()


def sweep() -> None:
    """As if what is done with had been so long ago that it is swept; not what somebody still has in
    hands, which the site leaves alone for long enough."""
    busy = [actor.name for actor in everybody() if actor.state not in ("off", "done", "dead")]
    done = Attempt.objects.filter(swept_at__isnull=True).exclude(worker_id__in=busy)
    done.update(ended_at=from_now(-1_000_000))
    sweeping.sweep()
