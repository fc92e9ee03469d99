"""Builders for the tests of our own calls: a site whose Stripe is the stand-in, in process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from comp_billing import catalog, intents, stripe_api
from comp_billing.metering import StripeMeter
from comp_billing.models import Customer, Intent, UsageRecord
from comp_billing.sync import accounts
from comp_billing.testing import StandIn, StandInClient
from comp_core.exceptions import RunRefused
from comp_core.models import Run
from comp_users.models import Profile, Project

USD_PER_SECOND = Decimal(36)  # Currency units per hour: a second costs a cent.

_standins: list[StandIn] = []


def standin_now() -> datetime:
    """For COMP_BILLING["CLOCK"]: the time of the stand-in of the running test."""
    return datetime.fromtimestamp(_standins[-1].now(), UTC)


@dataclass
class Site:
    """The site under test, and the stand-in behind it."""

    standin: StandIn
    settings: Any
    made: int = field(default=0)

    def configure(self, **values: Any) -> None:
        """Settings of COMP_BILLING beside those in force."""
        self.settings.COMP_BILLING = {**self.settings.COMP_BILLING, **values}

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """What exists at Stripe."""
        return [obj for obj in self.standin.store.where(kind) if not obj.get("deleted")]

    def work(self) -> None:
        """What the worker does with intents, without waiting for back-offs; a few rounds, and none
        when nothing is left."""
        for _round in range(6):
            intents.pace.rest(0)
            pending = Intent.objects.filter(state="pending")
            if not pending.update(next_attempt_at=timezone.now()):
                return
            intents.carry_out_due()

    def public_project(self, name: str = "Epidemic", **fields: Any) -> Project:
        """A project that everybody may run, at a cent a second."""
        self.made += 1
        values = {"slug": f"project-{self.made}", "is_public": True, "server_cost": USD_PER_SECOND}
        return Project.objects.create(name=name, **{**values, **fields})

    def user(self, name: str = "ada", **fields: Any) -> Any:
        """A user who just signed up."""
        return get_user_model().objects.create_user(name, f"{name}@example.org", "pw", **fields)

    def subscriber(self, name: str = "ada") -> Profile:
        """A user whom the worker has made a customer with everything on offer."""
        profile: Profile = self.user(name).profile
        self.work()
        return profile

    def shop(self, name: str = "Epidemic") -> Project:
        """A public project with product, meter and plan."""
        project = self.public_project(name)
        catalog.set_up_catalog()
        return project


def queued_run(project: Project, payer: Profile, **fields: Any) -> Run:
    """A run as submit saves it, before the meter is asked."""
    values: dict[str, Any] = {
        "owner": payer,
        "payer": payer,
        "project": project,
        "server_cost": project.server_cost,
        "queued_at": timezone.now(),
        "timeout_seconds": 10,
    }
    return Run.objects.create(**{**values, **fields})


def authorized_run(project: Project, payer: Profile, **fields: Any) -> Run:
    """A run that the meter has permitted."""
    run = queued_run(project, payer, **fields)
    with transaction.atomic():
        StripeMeter().authorize(run)
    return run


def ended(run: Run, *, seconds: str = "2.5", status: str = "succeeded") -> Run:
    """The run at its end, the meter told of a success within the same transaction."""
    meter = StripeMeter()
    with transaction.atomic():
        run.status, run.finished_at, run.run_time = status, timezone.now(), Decimal(seconds)
        run.run_cost = meter.cost(run, run.run_time) if status == "succeeded" else None
        run.save()
        (meter.record if status == "succeeded" else meter.release)(run)
    return run


def used(project: Project, payer: Profile, *, seconds: str = "2.5") -> UsageRecord:
    """The usage record of a run that has just succeeded."""
    run = ended(authorized_run(project, payer), seconds=seconds)
    return UsageRecord.objects.get(run=run)


def later(record: UsageRecord | Intent, **past: float) -> None:
    """Put a row's first sending into the past, as if that much time had gone by since."""
    assert record.first_sent_at is not None
    moment = record.first_sent_at - timedelta(**past)
    type(record)._default_manager.filter(pk=record.pk).update(
        first_sent_at=moment, next_attempt_at=None
    )


def customer_of(profile: Profile) -> Customer:
    """The profile's customer, which must be there."""
    found: Customer = Customer.objects.get(user=profile.user)
    return found


@pytest.fixture
def site(stripe_standin: StandIn, settings: Any, transactional_db: None) -> Iterator[Site]:
    """A site without projects or users; calls to Stripe reach an empty stand-in at once."""
    # Migrations announce the test models' projects; the tests here make their own.
    Project.objects.all().delete()
    Intent.objects.all().delete()
    fast = {"NETWORK_RETRIES": 0, "CALLS_PER_SECOND": 100_000}
    settings.COMP_BILLING = {**settings.COMP_BILLING, **fast}
    intents.pace.rest(0)
    settings.COMP_CORE = {"METER": "comp_billing.metering.StripeMeter"}
    _standins.append(stripe_standin)
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        # Once in a process, which is none of what the tests count.
        accounts.check()
        stripe_standin.calls.clear()
        yield Site(stripe_standin, settings)
    _standins.remove(stripe_standin)


def capped(profile: Profile, cap: str) -> Profile:
    """The profile with a spending cap."""
    profile.spending_cap = Decimal(cap)
    profile.save()
    return profile


def refusal(run: Run) -> str:
    """What the meter says instead of permitting a run."""
    with pytest.raises(RunRefused) as raised, transaction.atomic():
        StripeMeter().authorize(run)
    return str(raised.value)


def at_once(action: Callable[[], Any], *, times: int) -> None:
    """Call something from so many threads at the same moment, each on a connection of its own."""
    barrier = threading.Barrier(times)

    def call() -> None:
        barrier.wait()
        try:
            action()
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


several_writers = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="an in-memory SQLite database has one writer only"
)
