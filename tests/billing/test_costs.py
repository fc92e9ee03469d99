"""What the pages show of a user's money."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from comp_billing import costs, mirror, usage
from comp_billing.models import Subscription, SubscriptionItem, UsageRecord
from comp_core.models import Run
from tests.billing.builders import Site, authorized_run, customer_of, ended, used


def invoice(customer: str, **fields: Any) -> dict[str, Any]:
    """An invoice as received."""
    return {
        "id": "in_1",
        "object": "invoice",
        "customer": customer,
        "status": "open",
        "number": "ADA-1",
        "currency": "usd",
        "created": 1_800_000_000,
        "total": 1250,
        "amount_due": 1250,
        "amount_paid": 0,
        "hosted_invoice_url": "https://stripe.test/i/1",
        "invoice_pdf": "https://stripe.test/i/1/pdf",
        **fields,
    }


def received(*objects: dict[str, Any]) -> None:
    """Mirror objects as if Stripe had just told of them."""
    mirror.upsert(objects, as_of=2_000_000_000, rank=2, api_version="")


def test_monthly_costs_are_sums_by_month_and_project(
    site: Site, django_assert_num_queries: Any
) -> None:
    """Succeeded runs are summed by month and project, the latest month first, in one query."""
    one, two, payer = site.shop("One"), site.shop("Two"), site.subscriber()
    old = ended(authorized_run(one, payer), seconds="4")
    Run.objects.filter(pk=old.pk).update(finished_at=datetime(2026, 1, 31, tzinfo=UTC))
    ended(authorized_run(one, payer), seconds="1")
    ended(authorized_run(one, payer), seconds="2")
    ended(authorized_run(two, payer), seconds="5")
    ended(authorized_run(two, payer), status="failed")

    with django_assert_num_queries(1):
        rows = costs.monthly_costs(payer)

    assert [(row.project_name, row.runs, row.seconds, row.cost) for row in rows] == [
        ("One", 2, Decimal(3), Decimal("0.03")),
        ("Two", 1, Decimal(5), Decimal("0.05")),
        ("One", 1, Decimal(4), Decimal("0.04")),
    ]


def test_sponsored_runs_are_the_sponsors_costs(site: Site) -> None:
    """Who pays sees the cost; who ran does not."""
    project, sponsor, owner = site.shop(), site.subscriber("sponsor"), site.user("ada").profile
    ended(authorized_run(project, sponsor, owner=owner), seconds="1")

    rows = [costs.monthly_costs(sponsor), costs.monthly_costs(owner)]

    assert [len(found) for found in rows] == [1, 0]


def test_usage_is_the_payers_latest_first(site: Site) -> None:
    """Usage records come with their runs and projects, the latest first."""
    project, payer = site.shop(), site.subscriber()
    first, second = used(project, payer), used(project, payer)
    used(project, site.subscriber("bob"))

    found = costs.usage_of(payer)

    assert list(found) == [second, first]


def test_invoices_are_in_currency_units_with_their_links(
    site: Site, django_assert_num_queries: Any
) -> None:
    """Only the user's own invoices, the latest first, in one query."""
    profile, other = site.subscriber("ada"), site.subscriber("bob")
    mine, theirs = customer_of(profile).pk, customer_of(other).pk
    received(
        invoice(mine),
        invoice(mine, id="in_2", created=1_900_000_000, currency="jpy", number="ADA-2"),
        invoice(theirs, id="in_3"),
    )

    with django_assert_num_queries(1):
        rows = costs.invoices_of(profile.user)

    assert [(row.number, row.total, row.total_text, row.hosted_invoice_url) for row in rows] == [
        ("ADA-2", Decimal(1250), "¥1,250", "https://stripe.test/i/1"),
        ("ADA-1", Decimal("12.50"), "$12.50", "https://stripe.test/i/1"),
    ]


def test_receipt_names_the_invoice_that_bills_it(site: Site) -> None:
    """Once an invoice has a line for the item and the time, the receipt shows it."""
    project, payer = site.shop(), site.subscriber()
    run = ended(authorized_run(project, payer))
    usage.report_due()
    record = UsageRecord.objects.get()
    assert record.timestamp is not None
    at, item = int(record.timestamp.timestamp()), SubscriptionItem.objects.get()
    period = {"start": at - 10, "end": at + 10}
    line = {"parent": {"subscription_item_details": {"subscription_item": item.pk}}}
    other = {"parent": {"subscription_item_details": {"subscription_item": "si_other"}}}
    parent = {"subscription_details": {"subscription": Subscription.objects.get().pk}}
    customer = customer_of(payer).pk
    earlier = [{**other, "period": period}, {**line, "period": {"start": at - 20, "end": at}}]
    received(
        invoice(customer, id="in_0", created=at + 5, parent=parent, lines={"data": earlier}),
        invoice(
            customer, created=at + 10, parent=parent, lines={"data": [{**line, "period": period}]}
        ),
    )

    receipt = costs.receipt_of(run)

    assert receipt is not None
    assert receipt.invoice is not None
    assert (receipt.invoice.stripe_id, receipt.receipt.cost, receipt.record) == (
        "in_1",
        Decimal("0.025"),
        record,
    )


def test_receipt_before_the_invoice(site: Site) -> None:
    """Until an invoice bills it, a receipt has none."""
    project, payer = site.shop(), site.subscriber()
    run = ended(authorized_run(project, payer))

    receipt = costs.receipt_of(run)

    assert receipt is not None
    assert receipt.invoice is None


def test_failed_run_has_no_receipt(site: Site) -> None:
    """What costs nothing has no receipt."""
    project, payer = site.shop(), site.subscriber()

    assert costs.receipt_of(ended(authorized_run(project, payer), status="failed")) is None


def test_months_are_those_of_the_time_zone_in_force(site: Site) -> None:
    """The last evening of January in London is February in Tokyo."""
    project, payer = site.shop(), site.subscriber()
    run = ended(authorized_run(project, payer))
    Run.objects.filter(pk=run.pk).update(finished_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))

    found = []
    for zone in ("Europe/London", "Asia/Tokyo"):
        with timezone.override(zone):
            found += [f"{row.month:%Y-%m-%d %H:%M}" for row in costs.monthly_costs(payer)]

    assert found == ["2026-01-01 00:00", "2026-02-01 00:00"]


def test_sums_of_many_tiny_runs_are_exact(site: Site) -> None:
    """A thousand times a tenth of a cent, on a database that adds up floats too."""
    project, payer = site.shop(), site.subscriber()
    tiny = {"run_time": Decimal("0.1"), "run_cost": Decimal("0.001"), "status": "succeeded"}
    Run.objects.bulk_create(
        Run(owner=payer, payer=payer, project=project, finished_at=timezone.now(), **tiny)
        for _number in range(1000)
    )

    (row,) = costs.monthly_costs(payer)

    assert (str(row.seconds), str(row.cost)) == ("100.000000", "1.000000")
