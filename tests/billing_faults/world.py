"""The world of an execution: a site, a Stripe that can fail, and a clock that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import stripe
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from comp_billing import catalog, intents, stripe_api
from comp_billing.metering import StripeMeter
from comp_billing.models import Intent
from comp_billing.sync import accounts, pacing
from comp_billing.testing import StandIn, StandInClient
from comp_core.models import Run
from comp_users.models import Profile, Project
from tests.billing.builders import authorized_run
from tests.emptying import empty
from tests.faults.scheduler import current_actor

# Odd ones, so that every way of rounding shows.
RATES = ("36", "0.07", "1.23", "0.36")
# Stripe counts what it has taken some minutes later.
LAG_SECONDS = 900
QUICK = {"NETWORK_RETRIES": 0, "CALLS_PER_SECOND": 10**6, "REPORTS_PER_SECOND": 10**6}
QUICK |= {"SYNC_REQUESTS_PER_SECOND": 10**6, "REPORT_CONCURRENCY": 1}


@dataclass
class Done:
    """A run that has succeeded, and what must be billed for it."""

    run: Run
    units: int


@dataclass
class World:
    """What happened that must, or must not, be found at Stripe."""

    standin: StandIn
    # Seconds by which our clock is off.
    skew: float = 0
    signed_up: list[Profile] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    failed: list[Run] = field(default_factory=list)
    made: int = 0

    def now(self) -> datetime:
        """Our clock."""
        return datetime.fromtimestamp(self.standin.now() + self.skew, UTC)

    def number(self) -> int:
        self.made += 1
        return self.made

    def publish(self, rate: str) -> Project:
        """A project becomes public: what it takes at Stripe is an intent of the same moment."""
        number = self.number()
        return Project.objects.create(
            name=f"Model {number}", slug=f"m{number}", is_public=True, server_cost=Decimal(rate)
        )

    def sign_up(self, *, fails: bool) -> None:
        """Somebody signs up; or an error after it takes all of it back."""
        name = f"user{self.number()}"
        try:
            with transaction.atomic():
                user = get_user_model().objects.create_user(name, f"{name}@example.org")
                if fails:
                    raise RuntimeError("after the sign-up")
        except RuntimeError:
            return
        self.signed_up.append(user.profile)

    def submit(self, project: Project, payer: Profile) -> Run:
        """A run as it is submitted; raises RunRefused."""
        fresh = Project.objects.get(pk=project.pk)
        with transaction.atomic():
            return authorized_run(fresh, Profile.objects.get(pk=payer.pk))

    def _seconds(self, rate: Decimal) -> Decimal:
        """A run time whose cost tells the run from all others."""
        taken = {done.units for done in self.done}
        while True:
            seconds = Decimal(1) + Decimal(self.number() * 37 + 5) / 1000
            if units_of(seconds, rate) not in taken:
                return seconds

    def end(self, run: Run, *, succeeds: bool) -> None:
        """The run ends, and the meter is told in the same transaction. No two cost the same."""
        seconds = self._seconds(run.server_cost or Decimal(0))
        with transaction.atomic():
            run.status = "succeeded" if succeeds else "failed"
            run.finished_at, run.run_time = timezone.now(), seconds
            run.run_cost = StripeMeter().cost(run, seconds) if succeeds else None
            run.save()
            (StripeMeter().record if succeeds else StripeMeter().release)(run)
        if succeeds:
            self.done.append(Done(run, units_of(seconds, run.server_cost or Decimal(0))))
        else:
            self.failed.append(run)


def units_of(seconds: Decimal, server_cost: Decimal) -> int:
    """What must be billed, in millionths: told once more, in whole numbers alone."""
    numerator, denominator = (seconds * server_cost * 10**6).as_integer_ratio()
    quotient, rest = divmod(numerator, denominator * 3600)
    twice = 2 * rest - denominator * 3600
    return quotient + (twice > 0 or (twice == 0 and quotient % 2))


class PausingClient(StandInClient):
    """Before and after each call of an actor others go on."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        _pause("call:begin")
        answer = super().request(*args, **kwargs)
        _pause("call:answered")
        return answer


def _pause(place: str) -> None:
    actor = current_actor()
    if actor is not None:
        actor.park(place)


@contextmanager
def built() -> Iterator[World]:
    """A site with two public projects, two customers and an account, until the end of the block."""
    empty("default")
    # The test models' own.
    Project.objects.all().delete()
    Intent.objects.all().delete()
    standin = StandIn()
    standin.settings["summary_lag_seconds"] = LAG_SECONDS
    world = World(standin)
    billing = {**settings.COMP_BILLING, **QUICK}
    core = {"METER": "comp_billing.metering.StripeMeter"}
    with ExitStack() as stack:
        stack.callback(standin.close)
        stack.enter_context(override_settings(COMP_BILLING=billing, COMP_CORE=core))
        client: stripe.HTTPClient = PausingClient(standin)
        stack.enter_context(stripe_api.use_http_client(client))
        stack.enter_context(patch.object(timezone, "now", world.now))
        # Neither waits for anything but time that passes here.
        stack.enter_context(patch.object(pacing.time, "sleep", lambda seconds: None))
        stack.enter_context(patch.object(intents, "pace", pacing.TokenBucket()))
        stack.enter_context(patch.object(intents.pace, "rest", lambda seconds: None))
        accounts.check()
        for rate in RATES[:2]:
            world.publish(rate)
        catalog.set_up_catalog()
        for _ in range(2):
            world.sign_up(fails=False)
        while intents.carry_out_due():
            pass
        yield world


def later(world: World, **time: float) -> None:
    """Time passes, for Stripe and for us."""
    world.standin.advance(seconds=int(timedelta(**time).total_seconds()))
