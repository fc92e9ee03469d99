"""What is in doubt is fetched by the worker: once, in batches, and never over newer news."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from comp_billing import mirror, stripe_api
from comp_billing.models import Customer, Product, Subscription, SubscriptionItem, Sync
from comp_billing.sync import accounts, fetching, requests
from comp_billing.sync.reading import completed
from comp_billing.testing import StandIn, StandInClient
from tests.billing.deliveries import event, tell
from tests.billing.standin_rig import Shop, in_process, open_shop
from tests.billing.stripe_objects import VERSION

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(stripe_standin: StandIn, settings: Any) -> Iterator[Shop]:
    """An account with a subscribed customer, of which nothing is here but that it is ours."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "NETWORK_RETRIES": 0}
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        shop = open_shop(in_process(stripe_standin))
        accounts.check()
        stripe_standin.calls.clear()
        yield shop


def email_of(shop: Shop) -> str:
    return str(shop.account.v1.customers.retrieve(shop.customer.id).email)


def due() -> int:
    """How many rows of any kind are to be fetched, now or later."""
    return sum(
        model.all_objects.filter(fetch_at__isnull=False).count() for model in mirror.KINDS.values()
    )


def everything_due() -> None:
    """As if the pauses had passed."""
    for model in mirror.KINDS.values():
        rows = model.all_objects.filter(fetch_at__isnull=False)
        rows.update(fetch_at=timezone.now() - timedelta(seconds=1))


def test_a_placeholder_is_filled_and_what_it_names_after_it(shop: Shop) -> None:
    """A subscription alone brings its customer, plan, product and meter, each with one call."""
    mirror.fetch_later(Subscription, [shop.subscription.id])
    rounds = [fetching.fetch_due() for _ in range(4)]
    item = SubscriptionItem.objects.select_related("plan__meter", "subscription__customer").get()
    assert (
        sum(rounds),
        sum(shop.account.world.calls.values()),
        item.subscription.customer.email,
        item.plan.meter.event_name,
        due(),
    ) == (5, 5, "ada@example.org", "comp_epidemic", 0)


def test_a_tie_is_settled_with_one_call(shop: Shop) -> None:
    """Two versions of one second, told in the wrong order; then nothing is in doubt."""
    obj = shop.account.world.store.get("customer", shop.customer.id) or {}
    for number, address in enumerate([obj["email"], "older@example.org"]):
        told = {"id": obj["id"], "object": "customer", "email": address}
        tell(event(obj=told, id=f"evt_{number}", created=int(obj["created"])))
    guessed = Customer.objects.get().email
    shop.account.world.advance(seconds=5)
    everything_due()
    fetching.fetch_due()
    row = Customer.objects.get()
    assert (guessed, row.email, row.fetch_at, sum(shop.account.world.calls.values())) == (
        "older@example.org",
        "ada@example.org",
        None,
        1,
    )


def test_an_answer_of_the_same_second_is_asked_for_again(shop: Shop) -> None:
    """It cannot be told from the news that is in doubt; a later answer can."""
    now = shop.account.world.now()
    obj = {"id": shop.customer.id, "object": "customer", "email": "doubtful@example.org"}
    mirror.upsert([obj], as_of=now + 100, rank=2, api_version=VERSION)
    mirror.fetch_later(Customer, [shop.customer.id])
    fetching.fetch_due()
    before = Customer.objects.get()
    shop.account.world.advance(seconds=200)
    everything_due()
    fetching.fetch_due()
    after = Customer.objects.get()
    assert (before.email, before.fetch_at is None, after.email, after.fetch_at) == (
        "doubtful@example.org",
        False,
        "ada@example.org",
        None,
    )


def test_an_event_of_another_version_is_a_hint(shop: Shop) -> None:
    """Its data is not written; the object is fetched in the version that is read here."""
    strange = {"id": shop.customer.id, "object": "customer", "email": {"address": "moved"}}
    tell(event(obj=strange, api_version="2031-01-01.zinnia"))
    hinted = Customer.all_objects.get()
    fetching.fetch_due()
    row = Customer.objects.get()
    assert (hinted.is_placeholder, row.email, row.api_version, row.data["email"]) == (
        True,
        "ada@example.org",
        stripe_api.API_VERSION,
        "ada@example.org",
    )


def test_what_was_deleted_at_stripe_is_a_tombstone(shop: Shop) -> None:
    """A customer answers that it is deleted; a product is not known any more."""
    product = shop.account.v1.products.create({"name": "Short-lived"}).id
    for key, kind in ((shop.customer.id, "customer"), (product, "product")):
        obj = {"id": key, "object": kind, "name": "here"}
        mirror.upsert([obj], as_of=1, rank=2, api_version=VERSION)
    shop.account.v1.customers.delete(shop.customer.id)
    shop.account.v1.products.delete(product)
    mirror.fetch_later(Customer, [shop.customer.id])
    mirror.fetch_later(Product, [product])
    fetching.fetch_due()
    gone = [
        (row.deleted, row.rank, row.data["name"], row.fetch_at)
        for row in (Customer.all_objects.get(), Product.all_objects.get(pk=product))
    ]
    assert gone == [(True, 3, "here", None), (True, 0, "here", None)]


def test_an_object_told_with_a_cut_off_list_is_fetched_whole(shop: Shop) -> None:
    """Stripe embeds ten entries; the others are never asked for in a request."""
    url = f"/v1/subscription_items?subscription={shop.subscription.id}"
    items = {"object": "list", "data": [], "has_more": True, "url": url}
    told = {"id": shop.subscription.id, "object": "subscription", "items": items}
    tell(event("customer.subscription.updated", told))
    before = SubscriptionItem.objects.count()
    fetching.fetch_due()
    row = Subscription.objects.get()
    assert (before, SubscriptionItem.objects.count(), row.data["items"]["has_more"]) == (
        0,
        1,
        False,
    )


def test_a_cut_off_list_is_read_to_its_end(shop: Shop) -> None:
    """Page after page of a hundred, from the address that Stripe gives."""
    ids = [shop.account.v1.customers.create({}).id for _ in range(120)]
    cut = {"object": "list", "data": [], "has_more": True, "url": "/v1/customers"}
    shop.account.world.calls.clear()
    whole = completed({"id": "x_1", "people": cut})["people"]
    assert (
        {entry["id"] for entry in whole["data"]},
        whole["has_more"],
        sum(shop.account.world.calls.values()),
    ) == ({*ids, shop.customer.id}, False, 2)


def test_newer_news_is_kept_when_the_answer_comes_late(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object changes, and its event arrives, between the answer and its writing."""
    mirror.fetch_later(Customer, [shop.customer.id])
    read = fetching.read_object

    def read_then_change(model: Any, stripe_id: str) -> Any:
        answer = read(model, stripe_id)
        newer = {"id": stripe_id, "object": "customer", "email": "newer@example.org"}
        mirror.upsert([newer], as_of=answer.date + 1, rank=2, api_version=VERSION)
        return answer

    monkeypatch.setattr(fetching, "read_object", read_then_change)
    fetching.fetch_due()
    row = Customer.objects.get()
    assert (row.email, row.fetch_at) == ("newer@example.org", None)


@pytest.mark.parametrize("kind", ["401", "403", "429", "500_before", "refuse"])
def test_when_stripe_cannot_be_asked_the_rest_waits(
    shop: Shop, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause that grows, no storm of calls, and nothing is marked as gone."""
    monkeypatch.setattr("comp_billing.sync.pacing.time.sleep", lambda seconds: None)
    mirror.fetch_later(Customer, ["cus_0", "cus_1", shop.customer.id])
    shop.account.world.faults.add(kind, path="/v1/customers/*", times=100)
    settled = fetching.fetch_due()
    rows = Customer.all_objects.values_list("deleted", "fetch_at")
    assert (
        settled,
        sum(shop.account.world.calls.values()) <= 6,
        {deleted for deleted, _ in rows},
        all(fetch_at > timezone.now() for _, fetch_at in rows),
    ) == (0, True, {False}, True)


@pytest.mark.parametrize("kind", ["401", "429"])
def test_that_stripe_is_closed_to_us_is_no_attempt_of_the_object_s(
    shop: Shop, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards, however long it was, the rows are fetched within minutes, not days."""
    monkeypatch.setattr("comp_billing.sync.pacing.time.sleep", lambda seconds: None)
    mirror.fetch_later(Customer, ["cus_0", "cus_1"])
    shop.account.world.faults.add(kind, path="/v1/customers/*", times=100)
    for _ in range(5):
        everything_due()
        fetching.fetch_due()
    soon = timezone.now() + timedelta(minutes=5)
    rows = Customer.all_objects.filter(fetch_at__lt=soon).values_list("fetch_attempts", flat=True)
    assert list(rows) == [0, 0]


def test_a_kind_that_the_key_may_not_read_does_not_hold_up_the_others(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """One call in vain, one line in the log; its rows wait longer each time."""
    product = shop.account.v1.products.create({"name": "Forbidden"}).id
    mirror.fetch_later(Product, [product, "prod_1"])
    mirror.fetch_later(Customer, [shop.customer.id])
    shop.account.world.faults.add("403", path="/v1/products/*", times=100)
    shop.account.world.calls.clear()
    settled = fetching.fetch_due()
    attempts = set(Product.all_objects.values_list("fetch_attempts", flat=True))
    assert (settled, attempts, sum(shop.account.world.calls.values())) == (1, {1}, 2)
    assert caplog.text.count("product objects are not fetched: Stripe does not allow this key") == 1


def test_what_stripe_does_not_know_comes_back_with_newer_news(shop: Shop) -> None:
    """A key of another account would make everything look gone; the right key mends it."""
    mirror.fetch_later(Customer, ["cus_unheard_of"])
    fetching.fetch_due()
    gone = Customer.all_objects.values_list("deleted", "fetch_at").get()
    later = shop.account.world.now() + 10
    obj = {"id": "cus_unheard_of", "object": "customer", "email": "back@example.org"}
    mirror.upsert([obj], as_of=later, rank=2, api_version=VERSION)
    assert (gone, Customer.objects.get().email) == ((True, None), "back@example.org")


def test_a_site_without_a_key_asks_nothing(settings: Any) -> None:
    """Such as one that has only just been installed."""
    settings.COMP_BILLING = {}
    mirror.fetch_later(Customer, ["cus_1"])
    assert (fetching.fetch_due(), due()) == (0, 1)


def test_a_round_fetches_no_more_than_its_limit(shop: Shop) -> None:
    """The rest is due in the next round."""
    mirror.fetch_later(Customer, [f"cus_{number}" for number in range(30)])
    assert (fetching.fetch_due(limit=25), due()) == (25, 5)


def test_when_much_is_due_the_list_is_read_instead(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred objects a call; not again for hours, whatever the list did not name."""
    monkeypatch.setattr(fetching, "MANY", 4)
    mirror.fetch_later(Customer, [shop.customer.id, *(f"cus_{number}" for number in range(5))])
    fetching.fetch_due(limit=1)
    asked = list(Sync.objects.exclude(requested_at=None).values_list("kind", flat=True))
    requests.read_requested()
    mirror.fetch_later(Customer, [f"cus_{number}" for number in range(5)])
    fetching.fetch_due(limit=1)
    again = Sync.objects.exclude(requested_at=None).count()
    assert (asked, Customer.objects.get().email, again) == (["customer"], "ada@example.org", 0)


def test_an_answer_that_is_never_later_is_asked_for_less_and_less(shop: Shop) -> None:
    """Such as when what is here is dated in the future."""
    obj = {"id": shop.customer.id, "object": "customer"}
    mirror.upsert([obj], as_of=shop.account.world.now() + 10**6, rank=2, api_version=VERSION)
    mirror.fetch_later(Customer, [shop.customer.id])
    waits = []
    for _ in range(6):
        everything_due()
        fetching.fetch_due()
        waits.append(round((Customer.objects.get().fetch_at - timezone.now()).total_seconds()))
    assert waits == [2, 4, 8, 16, 32, 64]
