"""The parts that actors play: who submits, works, cancels, operates, and what time does to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.module_loading import import_string
from django_tasks_db.models import DBTaskResult, TaskResultStatus

from comp_core import lifecycle
from comp_core.exceptions import InputsNotValid, RunHasEnded, RunIsNotRunning
from comp_core.inputs import save_inputs
from comp_core.models import Run
from comp_core.status import RunStatus
from comp_users.models import Profile
from tests.faults.scheduler import Actor
from tests.testapp.models import DoublingInputs, DoublingRun

Part = Callable[[Actor], None]
IDLE_TURNS = 7


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


def work_briefly(actor: Actor) -> None:
    """A worker that is soon asked to stop."""
    actor.restless = 0.7
    work(actor)


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
