"""The story itself, step by step, as a visitor and an operator live it.

Everything goes through the site's pages, management commands and Stripe's interface; the database
is only read, to see whether a step has arrived.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from django.contrib.auth import get_user_model
from django.db.models import Q

from comp_billing.models import Customer, Invoice, SubscriptionItem, UsageRecord
from comp_billing.testing import StandInControl
from comp_core.models import Run
from comp_core.status import TERMINAL
from comp_users.models import Profile, Project
from demo.exceptions import DemoError
from demo.processes import Processes
from demo.visitor import Visitor

STEP_SECONDS = 120
POLL_SECONDS = 0.2
# An invoice stays a draft for an hour after its period has ended.
FINALISED_AFTER_SECONDS = 2 * 3600


@dataclass(frozen=True)
class Account:
    """A log-in that the demonstration makes and then prints."""

    username: str
    password: str
    email: str


USER = Account("demo", "a-demo-of-metered-models", "demo@example.com")
ADMIN = Account("admin", "an-admin-of-the-demo", "admin@example.com")


class Teller(Protocol):
    """Where the story is told while it happens."""

    def step(self, text: str) -> None: ...
    def progress(self, fraction: float, text: str) -> None: ...


class Story:
    """One user's month. Every step finds what an earlier telling left and adds only the rest."""

    def __init__(
        self, *, site_url: str, control: StandInControl, processes: Processes, teller: Teller
    ) -> None:
        self.visitor = Visitor(site_url)
        self.control = control
        self.processes = processes
        self.teller = teller

    @property
    def profile(self) -> Profile:
        return Profile.objects.get(user__username=USER.username)

    def sign_up(self) -> None:
        """Make the account, or log in to the one of an earlier telling."""
        known = get_user_model()._default_manager.filter(username=USER.username).exists()
        if known:
            self.teller.step(f"Logging in as {USER.username}")
            self.visitor.visit("/accounts/login/")
            fields = {"username": USER.username, "password": USER.password}
        else:
            self.teller.step(f"Signing up {USER.username}")
            self.visitor.visit("/accounts/signup/")
            fields = {
                "username": USER.username,
                "email": USER.email,
                "password1": USER.password,
                "password2": USER.password,
            }
        self.visitor.submit("main form", fields)
        if complaints := self.visitor.complaints():
            raise DemoError("; ".join(complaints))

    def wait_for_billing_account(self) -> None:
        """Until the worker has made the customer and subscribed it to every public project."""
        self.teller.step("Waiting for the customer and the subscription at Stripe")
        public = Project.objects.public().count()
        self._until(
            lambda: (
                SubscriptionItem.objects.filter(
                    subscription__customer__user=self.profile.user
                ).count()
                >= public
            ),
            "the billing account",
        )

    def add_card(self) -> None:
        """Through Stripe's hosted page, with its test card."""
        if self._has_card():
            return
        self.teller.step("Adding the test card on Stripe's page")
        self.visitor.visit("/billing/card/")
        self.visitor.submit("main form[action*='card']")
        self.visitor.submit("form", button="button[value='succeeds']")
        self._until(self._has_card, "the card")

    def _has_card(self) -> bool:
        return (
            Customer.objects.filter(user=self.profile.user)
            .exclude(default_payment_method="")
            .exists()
        )

    def run_models(self, csv: Path | None) -> None:
        """Submit inputs to both public models, unless the same inputs have been run before."""
        digest = hashlib.sha256(csv.read_bytes()).hexdigest()[:12] if csv else "sample"
        files = {"data": csv} if csv else {}
        self._run("descriptive", key=f"demo-{digest}", files=files)
        self._run("epidemic", key="demo-epidemic", files={})

    def _run(self, slug: str, *, key: str, files: dict[str, Path]) -> None:
        if Run.objects.filter(owner=self.profile, idempotency_key=key).exists():
            self.teller.step(f"Already run: {slug}")
            return
        self.teller.step(f"Running {slug}")
        self.visitor.visit(f"/models/{slug}/")
        self.visitor.submit("main form.inputs", {"idempotency_key": key}, files=files)
        if complaints := self.visitor.complaints():
            raise DemoError(f"{slug}: {'; '.join(complaints)}")
        inputs_url = self.visitor.url
        self._until(lambda: self._run_of(key) is not None or self._refused(inputs_url), slug)
        if self._run_of(key) is None:
            self.visitor.visit(inputs_url.removeprefix(self.visitor.base_url))
            raise DemoError(f"{slug}: {'; '.join(self.visitor.complaints())}")
        self._follow(key)

    def _run_of(self, key: str) -> Run | None:
        return Run.objects.filter(owner=self.profile, idempotency_key=key).first()

    def _refused(self, inputs_url: str) -> bool:
        """Whether the check found the inputs invalid, or the site would not start the run."""
        self.visitor.visit(inputs_url.removeprefix(self.visitor.base_url))
        return bool(self.visitor.complaints())

    def _follow(self, key: str) -> None:
        """Show a run's progress until it ends; a run that fails ends the story."""
        while True:
            run = self._run_of(key)
            assert run is not None  # noqa: S101  # _run has seen it
            self.teller.progress(run.progress, run.progress_message or run.get_status_display())
            if run.status in TERMINAL:
                break
            self.processes.check()
            time.sleep(POLL_SECONDS)
        if run.status != "succeeded":
            raise DemoError(f"{run}: {run.get_status_display()}. {run.error_message}")

    def wait_for_usage(self) -> None:
        """Until Stripe has accepted every usage record."""
        self.teller.step("Reporting the usage")
        waiting = UsageRecord.objects.filter(
            Q(state="pending") | Q(state="sending"), run__payer=self.profile
        )
        self._until(lambda: not waiting.exists(), "the usage reports")

    def bill_the_month(self) -> None:
        """Let a month pass at Stripe, if there is anything to bill, and receive what it sends."""
        if not self._unbilled():
            self.teller.step("Nothing new to bill")
            return
        self.teller.step("A month passes at Stripe")
        self.control.advance(months=1)
        self.control.advance(seconds=FINALISED_AFTER_SECONDS)
        self._until(lambda: not self._unbilled(), "the paid invoice's webhook")

    def _unbilled(self) -> bool:
        """Whether usage has been accepted that no paid invoice covers yet."""
        records = UsageRecord.objects.filter(run__payer=self.profile, state="accepted")
        paid = Invoice.objects.filter(customer__user=self.profile.user, status="paid")
        periods = [period for invoice in paid for period in _line_periods(invoice.data)]
        return any(
            record.timestamp is None
            or not any(
                event_name == record.event_name and start <= record.timestamp.timestamp() < end
                for event_name, start, end in periods
            )
            for record in records
        )

    def _until(self, arrived: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + STEP_SECONDS
        while not arrived():
            self.processes.check()
            if time.monotonic() > deadline:
                raise DemoError(f"Waited {STEP_SECONDS} seconds for {what}, in vain.")
            time.sleep(POLL_SECONDS)


def _line_periods(invoice: dict[str, Any]) -> list[tuple[str, int, int]]:
    """``(meter event name, start, end)`` of each line of an invoice; times in Unix seconds."""
    names = dict(
        SubscriptionItem.all_objects.values_list("plan_id", "plan__meter__event_name").distinct()
    )
    return [
        (
            names.get(line["pricing"]["price_details"]["price"], ""),
            line["period"]["start"],
            line["period"]["end"],
        )
        for line in invoice["lines"]["data"]
    ]
