"""Events in the words of older and newer API versions: hints, after which the proxies are true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.utils import timezone

from comp_billing import events, mirror, stripe_api
from comp_billing.models import Customer, Event, EventState, StripeObject
from comp_billing.sync import fetching
from comp_billing.testing import StandIn, StandInClient
from tests.billing.deliveries import event, tell
from tests.billing.former_bills import EVENT_TYPES, SHAPES
from tests.billing.former_shapes import ACACIA, BASIL, FERN, Ids, Json
from tests.billing.standin_rig import Shop, in_process, open_shop
from tests.mirror.truth import UNTOLD_FIELDS

pytestmark = pytest.mark.django_db(transaction=True)
CASES = [(version, kind) for version in sorted(SHAPES) for kind in SHAPES[version]]
ROUNDS = 5


@pytest.fixture
def shop(stripe_standin: StandIn, settings: Any) -> Iterator[Shop]:
    """An account in which a month has been paid for, and of which nothing is here."""
    settings.COMP_BILLING = {
        **settings.COMP_BILLING,
        "NETWORK_RETRIES": 0,
        "SYNC_REQUESTS_PER_SECOND": 10_000,
    }
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        shop = open_shop(in_process(stripe_standin), unit="5000")
        shop.use(3, "run-1")
        shop.next_month()
        stripe_standin.calls.clear()
        yield shop


def ids_of(shop: Shop) -> Ids:
    """The one object of each kind."""
    kinds = (*EVENT_TYPES, "subscription_item")
    return {kind: str(shop.account.world.store.where(kind)[0]["id"]) for kind in kinds}


def told(shop: Shop, kind: str, obj: Json, *, version: str, **fields: Any) -> Json:
    """An event, later than all others, in the name of a version."""
    created = shop.account.world.now() + 1
    values = {"created": created, "api_version": version, "id": f"evt_{kind}_{version}", **fields}
    return event(EVENT_TYPES[kind], obj, **values)


def row_of(shop: Shop, kind: str) -> StripeObject:
    row: StripeObject = mirror.KINDS[kind].all_objects.get(pk=ids_of(shop)[kind])
    return row


def work(shop: Shop) -> None:
    """Rounds of the worker, some seconds later each time, until nothing is in doubt."""
    for _round in range(ROUNDS):
        shop.account.world.advance(seconds=5)
        for model in mirror.KINDS.values():
            rows = model.all_objects.filter(fetch_at__isnull=False)
            rows.update(fetch_at=timezone.now() - timedelta(seconds=1))
        events.process_due_events()
        fetching.fetch_due()


def untrue(shop: Shop, kinds: list[str]) -> list[str]:
    """What of some kinds is not as Stripe has told that it is."""
    found = []
    for kind in kinds:
        truth = shop.account.world.view(shop.account.world.store.where(kind)[0])
        row = row_of(shop, kind)
        columns = row.columns(truth)
        found += [f"{kind}.{name}" for name in columns if getattr(row, name) != columns[name]]
        told = set(truth) - set(UNTOLD_FIELDS.get(kind, ()))
        found += [f"{kind} {name}" for name in told if row.data.get(name) != truth[name]]
        found += [f"{kind} is in doubt"] if row.fetch_at or row.deleted or not row.as_of else []
    return found


def belongs_to_user(customer: str) -> None:
    """Let a customer be a user's, who can be written to."""
    mirror.ensure(Customer, [customer])
    user = get_user_model().objects.create_user("ada", "ada@example.org", "pw")
    Customer.all_objects.filter(pk=customer).update(user=user)


def failed() -> list[str]:
    return [
        str(row) for row in Event.objects.filter(state__in=(EventState.FAILED, EventState.DEAD))
    ]


@pytest.mark.parametrize(("version", "kind"), CASES)
def test_an_event_of_another_version_is_a_hint(shop: Shop, version: str, kind: str) -> None:
    """Stored; nothing of what it says is believed; its object is to be fetched."""
    obj = SHAPES[version][kind](ids_of(shop))

    answer = tell(told(shop, kind, obj, version=version))

    row = row_of(shop, kind)
    assert (answer, Event.objects.count()) == (200, 1)
    assert (row.as_of, row.data, row.fetch_at is not None) == (None, {}, True)


@pytest.mark.parametrize(("version", "kind"), CASES)
def test_after_the_hint_the_worker_makes_the_proxy_true(
    shop: Shop, version: str, kind: str
) -> None:
    """The object itself, and what it belongs to."""
    obj = SHAPES[version][kind](ids_of(shop))
    tell(told(shop, kind, obj, version=version))

    work(shop)

    with_it = {"subscription": ["subscription_item", "customer"], "invoice": ["subscription"]}
    assert (untrue(shop, [kind, *with_it.get(kind, [])]), failed()) == ([], [])


@pytest.mark.parametrize("version", sorted(SHAPES))
def test_what_is_here_is_not_overwritten_by_a_hint(shop: Shop, version: str) -> None:
    """However new it is: a former shape would empty columns and take items away."""
    known = shop.account.world.store.where("event")
    answers = {tell(shop.account.world.view(one)) for one in known}
    work(shop)
    ids = ids_of(shop)

    for_all = [
        told(shop, kind, shape(ids), version=version) for kind, shape in SHAPES[version].items()
    ]
    answers |= {tell(hint) for hint in for_all}
    believed = untrue(shop, [*SHAPES[version], "subscription_item"])
    work(shop)

    assert answers == {200}
    assert {one for one in believed if not one.endswith("in doubt")} == set()
    assert (untrue(shop, [*SHAPES[version], "subscription_item"]), failed()) == ([], [])


@pytest.mark.parametrize("kind", SHAPES[FERN])
def test_a_shape_that_nobody_has_announced_breaks_nothing(shop: Shop, kind: str) -> None:
    """In the name of the very version that is read here; what cannot be read is empty."""
    obj = SHAPES[FERN][kind](ids_of(shop))

    answer = tell(told(shop, kind, obj, version=stripe_api.API_VERSION))
    work(shop)

    assert (answer, failed()) == (200, [])


@pytest.mark.parametrize("what", ["paid", "payment_failed", "finalized", "upcoming", "deleted"])
@pytest.mark.parametrize("version", sorted(SHAPES))
def test_handlers_read_an_invoice_of_any_version(shop: Shop, version: str, what: str) -> None:
    """E-mails are written from the event as it came."""
    ids = ids_of(shop)
    belongs_to_user(ids["customer"])
    obj = SHAPES[version]["invoice"](ids)
    hint = {**told(shop, "invoice", obj, version=version), "type": f"invoice.{what}"}

    answer = tell(hint)
    work(shop)

    assert (answer, untrue(shop, ["invoice"]), failed()) == (200, [], [])


@pytest.mark.parametrize("version", [ACACIA, BASIL])
def test_an_email_is_written_from_an_invoice_of_an_older_version(shop: Shop, version: str) -> None:
    """With the amount as it was said: what that is made of has not moved."""
    ids = ids_of(shop)
    belongs_to_user(ids["customer"])
    obj = {**SHAPES[version]["invoice"](ids), "total": 1234, "amount_paid": 1234, "status": "paid"}

    tell({**told(shop, "invoice", obj, version=version), "type": "invoice.paid"})
    work(shop)

    (message,) = mail.outbox
    assert (message.to, "12.34" in message.body) == (["ada@example.org"], True)


def test_a_hint_that_an_object_is_gone_makes_a_tombstone(shop: Shop) -> None:
    """Once Stripe has said so itself."""
    ids = ids_of(shop)
    shop.account.v1.customers.delete(ids["customer"])
    obj = SHAPES[ACACIA]["customer"](ids)
    hint = {**told(shop, "customer", obj, version=ACACIA), "type": "customer.deleted"}

    answer = tell(hint)
    before = row_of(shop, "customer").deleted
    work(shop)

    assert (answer, before, row_of(shop, "customer").deleted) == (200, False, True)


def test_another_date_of_the_same_major_version_is_believed(shop: Shop) -> None:
    """It only adds to what is read here."""
    truth = shop.account.world.view(shop.account.world.store.where("customer")[0])
    news = {**truth, "email": "new@example.org"}

    tell(told(shop, "customer", news, version="2026-09-30.endive"))

    row = row_of(shop, "customer")
    assert (row.data["email"], row.fetch_at) == ("new@example.org", None)
