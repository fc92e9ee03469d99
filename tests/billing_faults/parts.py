"""The parts that actors play: who signs up, runs, publishes, works; what fails; how time passes."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from comp_billing import catalog, customers, intents, subscriptions, usage
from comp_billing.exceptions import CannotCorrect
from comp_billing.models import Intent, UsageRecord, UsageState
from comp_billing.usage import corrections, doubt
from comp_core.exceptions import RunRefused
from comp_users.models import Project
from tests.billing_faults import world as worlds
from tests.billing_faults.world import World
from tests.faults.scheduler import Actor
from tests.faults.upkeep import everybody

Part = Callable[[Actor], None]

# The loops of a worker, those that matter more often than once.
LOOPS: tuple[Callable[[], object], ...] = (
    customers.ensure_customers,
    catalog.plan_all,
    subscriptions.ensure_items,
    *(intents.carry_out_due,) * 4,
    *(usage.report_due,) * 4,
    doubt.settle_doubts,
)
FAULTS = ("refuse", "429", "500_before", "500_saved", "drop_after")
PATHS = ("*", "/v1/customers", "/v1/subscription*", "/v1/billing/meter_events", "*summaries")
# Where something is made that must not be made twice.
MAKING = ("*meter_events", "*meter_events", "/v1/customers", "/v1/subscription*")
HOUR = 3600


def newcomer(world: World) -> Part:
    """Signs up; now and then an error takes all of it back."""

    def play(actor: Actor) -> None:
        wander(actor, 6)
        world.sign_up(fails=actor.rng.random() < 0.2)

    return play


def publisher(world: World) -> Part:
    """Publishes another project, or changes a rate."""

    def play(actor: Actor) -> None:
        wander(actor, 20)
        if actor.rng.random() < 0.5:
            world.publish(actor.rng.choice(worlds.RATES))
        else:
            project = Project.objects.order_by("pk").first()
            if project is not None:
                project.server_cost = actor.rng.choice(("7.77", "0.11"))
                project.save()

    return play


def user(world: World) -> Part:
    """Runs models as soon as that is possible; some runs fail."""

    def play(actor: Actor) -> None:
        for _ in range(actor.rng.randint(3, 8)):
            wander(actor, 10)
            payer = actor.rng.choice(world.signed_up)
            project = actor.rng.choice(list(Project.objects.order_by("pk")))
            try:
                run = world.submit(project, payer)
            except RunRefused:
                continue
            wander(actor, 6)
            world.end(run, succeeds=actor.rng.random() < 0.85)

    return play


def worker(actor: Actor) -> None:
    """A worker's loops, in any order; what waits for its next try is soon due."""
    for _ in range(actor.rng.randint(15, 30)):
        actor.park("worker")
        if actor.rng.random() < 0.5:
            hurry()
        actor.rng.choice(LOOPS)()


def hurry() -> None:
    """Whatever waits for its next try, or for whoever had it in hand, waits no longer."""
    now = timezone.now()
    for model in (Intent, UsageRecord):
        model._default_manager.filter(next_attempt_at__gt=now).update(next_attempt_at=now)


def operator(actor: Actor) -> None:
    """Gives money back: takes usage back, or credits it."""
    for _ in range(actor.rng.randint(1, 4)):
        wander(actor, 15)
        accepted = UsageRecord.objects.filter(state=UsageState.ACCEPTED).order_by("created")
        found = list(accepted.select_related("run"))
        if not found:
            continue
        record = actor.rng.choice(found)
        try:
            if actor.rng.random() < 0.7:
                corrections.take_back(record, reason="Wrong")
            else:
                corrections.credit([record], reason="Wrong")
        except CannotCorrect:
            continue


def trouble(world: World) -> Part:
    """What goes wrong at Stripe and on the way: single failures, and outages."""

    def play(actor: Actor) -> None:
        for _ in range(actor.rng.randint(2, 6)):
            wander(actor, 8)
            outage = actor.rng.random() < 0.15
            world.standin.faults.add(
                "refuse" if outage else actor.rng.choice(FAULTS),
                path=actor.rng.choice(PATHS),
                times=actor.rng.randint(10, 25) if outage else 1,
            )
        if actor.rng.random() < 0.3:
            world.standin.faults.add("reject_usage", path="*meter_events", code="no_meter")

    return play


def lost_answers(world: World) -> Part:
    """Stripe has acted, and nobody here learns of it: the worst that can happen to a call."""

    def play(actor: Actor) -> None:
        for _ in range(actor.rng.randint(4, 8)):
            kind = actor.rng.choice(("drop_after", "drop_after", "500_saved", "refuse"))
            world.standin.faults.add(kind, path=actor.rng.choice(MAKING))
            wander(actor, 6)

    return play


def long_outage(world: World) -> Part:
    """Day after day goes by, or half of one."""

    def play(actor: Actor) -> None:
        for _ in range(actor.rng.randint(3, 6)):
            wander(actor, 14)
            hours = actor.rng.choice((9, 14, 25))
            world.standin.advance(seconds=300 if somebody_calls() else hours * HOUR)

    return play


def clock(world: World) -> Part:
    """Minutes pass, or an outage of a day; our own clock is set forth and back."""

    def play(actor: Actor) -> None:
        for _ in range(actor.rng.randint(2, 5)):
            wander(actor, 10)
            steps = (20, 300) if somebody_calls() else (20, 300, HOUR, 3 * HOUR, 25 * HOUR)
            world.standin.advance(seconds=actor.rng.choice(steps))
            if actor.rng.random() < 0.4:
                world.skew = actor.rng.choice((0, -600, -60, 60, 240))

    return play


def somebody_calls() -> bool:
    """Whether a request is on its way: it is answered, or given up, within a minute or so."""
    return any(
        other.place == "call:begin" and other.state not in ("off", "done", "dead")
        for other in everybody()
    )


def wander(actor: Actor, most: int) -> None:
    """Let some of the others' turns pass."""
    for _ in range(actor.rng.randrange(most)):
        actor.park("wandering")
