"""The costs page and the books of one customer, in a small table of usage and in a large one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.core.paginator import Paginator

from benchmarks.databases import Copy, Databases
from benchmarks.figures import Figure, Sample, Sizes, milliseconds
from comp_billing import costs, mirror
from comp_billing.books import Reconciler
from comp_billing.models import Customer, Meter, Reservation, SubscriptionItem, UsageRecord
from comp_billing.pages.costs_page import RECORDS_PER_PAGE
from comp_core.models import Run
from comp_users.models import Profile, Project
from tests.core.scale import analyze, many_profiles, sent

AT_MOST = 1.5
FEW = 10_000
# Of the customer that is measured, in both tables; the others have as many each.
OWN = 500
# Of a customer that has very many, who is reported and has no target.
MANY_OWN = 100_000
WARM_UP = 3
BATCH = 5000
MONTH = timedelta(days=30)
START = datetime(2026, 1, 1, tzinfo=UTC)
MONTHS = 10
ADDED = 1_790_000_000
Action = Callable[[], Any]


@dataclass(frozen=True)
class Account:
    """A customer to measure."""

    profile: Profile
    customer_id: str

    def costs_page(self) -> list[Any]:
        """What the page reads."""
        page = Paginator(costs.usage_of(self.profile), RECORDS_PER_PAGE).get_page(1)
        return [costs.monthly_costs(self.profile), list(page)]

    def books(self) -> list[Any]:
        """As ``comp_reconcile --offline --customer`` does."""
        return Reconciler().books_of(self.customer_id, self.profile.user_id)


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Two figures with a target, and two of a customer who has very many records."""
    small, mine = _filled(databases, rows=min(FEW, sizes.usage), own=OWN)
    large, also_mine = _filled(databases, rows=sizes.usage, own=OWN)
    for name, few, many in (
        ("costs page", mine.costs_page, also_mine.costs_page),
        ("books", mine.books, also_mine.books),
    ):
        yield _figure(name, sizes, (small, few), (large, many))
    own = min(MANY_OWN, sizes.usage)
    crowded, heavy = _filled(databases, rows=own, own=own)
    crowded.use()
    for name, action in (("costs page", heavy.costs_page), ("books", heavy.books)):
        taken = [milliseconds(action) for _ in range(max(1, sizes.repeat // 10))]
        yield Figure(
            name=f"{name} of a customer with {own:,} records",
            unit="ms",
            ours=Sample(taken),
            parts={"records": own, "microseconds a record": 1000 * Sample(taken).median / own},
        )


def _figure(
    name: str, sizes: Sizes, small: tuple[Copy, Action], large: tuple[Copy, Action]
) -> Figure:
    found: list[list[float]] = [[], []]
    for number in range(sizes.repeat + WARM_UP):
        for (copy, action), values in zip((small, large), found, strict=True):
            copy.use()
            taken = milliseconds(action)
            if number >= WARM_UP:
                values.append(taken)
    copy, action = large
    copy.use()
    with sent() as statements:
        action()
    few, many = found
    return Figure(
        name=f"{name} of one customer",
        unit="ms",
        ours=Sample(many),
        rival_name=f"ours with {min(FEW, sizes.usage):,} usage records",
        rival=Sample(few),
        paired=True,
        at_most=AT_MOST,
        parts={"records": sizes.usage, "own": min(OWN, sizes.usage), "statements": len(statements)},
    )


# -- what there is


def _filled(databases: Databases, *, rows: int, own: int) -> tuple[Copy, Account]:
    """A database of so many usage records, of which one customer has its own."""
    copy = databases.copy("books")
    project = Project.objects.create(
        name="Books", slug="books", is_public=True, server_cost=Decimal("0.1")
    )
    own = min(own, rows)
    profiles = many_profiles(-(-rows // own))
    accounts = _customers(project, profiles)
    left = rows
    for account in accounts:
        _use(project, account, min(own, left))
        left -= own
    analyze()
    return copy, accounts[len(accounts) // 2]


def _customers(project: Project, profiles: list[Profile]) -> list[Account]:
    """Each subscribed to the project, and invoiced for all of its months."""
    mirror.upsert(
        [
            {"id": "mtr_1", "object": "billing.meter", "event_name": "books", "status": "active"},
            {
                "id": "price_1",
                "object": "price",
                "currency": "usd",
                "unit_amount_decimal": "0.0001",
                "recurring": {"meter": "mtr_1", "usage_type": "metered", "interval": "month"},
            },
        ],
        **_STAMP,
    )
    Meter.objects.update(project=project)
    made = [Account(profile, f"cus_{number}") for number, profile in enumerate(profiles)]
    for account in made:
        mirror.upsert(_objects_of(account), **_STAMP)
    for account in made:
        Customer.objects.filter(pk=account.customer_id).update(user=account.profile.user_id)
    return made


_STAMP: dict[str, Any] = {"as_of": ADDED, "rank": 2, "api_version": ""}


def _objects_of(account: Account) -> list[dict[str, Any]]:
    name = account.customer_id
    period = {
        "current_period_start": int((START + MONTHS * MONTH).timestamp()),
        "current_period_end": int((START + 100 * MONTH).timestamp()),
    }
    item = {"id": f"si_{name}", "price": "price_1", **period}
    subscription = {
        "id": f"sub_{name}",
        "object": "subscription",
        "customer": name,
        "status": "active",
        "items": {"data": [item], "has_more": False},
    }
    invoices = [_invoice(name, number) for number in range(MONTHS)]
    return [{"id": name, "object": "customer"}, subscription, *invoices]


def _invoice(name: str, number: int) -> dict[str, Any]:
    start, end = START + number * MONTH, START + (number + 1) * MONTH
    line = {
        "id": f"il_{name}_{number}",
        "amount": 0,
        "quantity_decimal": "0",
        "pricing": {"price_details": {"price": "price_1"}},
        "period": {"start": int(start.timestamp()), "end": int(end.timestamp())},
    }
    return {
        "id": f"in_{name}_{number}",
        "object": "invoice",
        "customer": name,
        "status": "paid",
        "created": int(end.timestamp()),
        "lines": {"data": [line], "has_more": False},
    }


def _use(project: Project, account: Account, number: int) -> None:
    """Accepted usage, spread over the months that are invoiced."""
    step = MONTHS * MONTH / max(number, 1)
    item = SubscriptionItem.objects.get(pk=f"si_{account.customer_id}")
    for first in range(0, number, BATCH):
        moments = [START + step * place for place in range(first, min(first + BATCH, number))]
        runs = [_run(project, account.profile, moment) for moment in moments]
        Run.objects.bulk_create(runs)
        Reservation.objects.bulk_create(
            Reservation(
                run=run,
                payer=account.profile,
                subscription_item=item,
                amount=Decimal("0.0001"),
                settled_amount=run.run_cost,
                settled_at=run.finished_at,
            )
            for run in runs
        )
        UsageRecord.objects.bulk_create(_record(run, account, item) for run in runs)


def _run(project: Project, profile: Profile, moment: datetime) -> Run:
    return Run(
        pk=uuid.uuid4(),
        owner=profile,
        payer=profile,
        project=project,
        status="succeeded",
        finished_at=moment,
        run_time=Decimal("3.6"),
        run_cost=Decimal("0.0001"),
        server_cost=Decimal("0.1"),
    )


def _record(run: Run, account: Account, item: SubscriptionItem) -> UsageRecord:
    moment = run.finished_at or START
    return UsageRecord(
        run=run,
        subscription_item=item,
        meter_id="mtr_1",
        event_name="books",
        stripe_customer_id=account.customer_id,
        quantity=100,
        used_at=moment,
        timestamp=moment,
        first_sent_at=moment,
        accepted_at=moment,
        state="accepted",
    )
