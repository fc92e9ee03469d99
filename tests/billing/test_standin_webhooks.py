"""Events of the stand-in on their way: signed, repeated, shuffled, late, in another version."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from comp_billing.testing import signed_event, signed_thin_event
from tests.billing.standin_rig import Account, open_shop

SECRET = "whsec_test"
URL = "https://site.example/billing/webhook/"


class Receiver:
    """A receiver that keeps what it was sent and answers what it is told to."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def __call__(self, body: bytes, headers: dict[str, str]) -> int:
        stripe.WebhookSignature.verify_header(body, headers["Stripe-Signature"], SECRET, 300)
        # the SDK does not look at times ahead
        stamp = int(headers["Stripe-Signature"].partition(",")[0].removeprefix("t="))
        assert stamp <= time.time()
        self.got.append(json.loads(body))
        self.headers.append(headers)
        return self.answers.pop(0) if self.answers else 200

    @property
    def types(self) -> list[str]:
        """What the events were about, in the order of arrival."""
        return [event["type"] for event in self.got]


def test_events_reach_a_handler_signed(shop_account: Account) -> None:
    """The signature holds for the secret, with a time of the wall clock, in any year."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop_account.world.advance(months=30)
    receiver = Receiver()
    shop_account.v1.customers.create({"name": "Ada"})

    shop_account.world.deliver(receiver)

    (event,) = receiver.got
    found = (event["type"], event["data"]["object"]["name"], event["created"])
    assert found == ("customer.created", "Ada", shop_account.world.now())


def test_an_update_tells_what_was_before(shop_account: Account) -> None:
    """Only what changed, in hashes by key."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    customer = shop_account.v1.customers.create({"name": "Ada", "metadata": {"a": "1", "b": "2"}})
    receiver = Receiver()

    shop_account.v1.customers.update(customer.id, {"metadata": {"a": "3"}})
    shop_account.world.deliver(receiver)

    assert receiver.got[-1]["data"]["previous_attributes"] == {"metadata": {"a": "1"}}


def test_an_update_that_changes_nothing_tells_nothing(shop_account: Account) -> None:
    """No event."""
    customer = shop_account.v1.customers.create({"name": "Ada"})

    shop_account.v1.customers.update(customer.id, {"name": "Ada"})

    types = [event.type for event in shop_account.v1.events.list().data]
    assert types == ["customer.created"]


def test_events_are_listed_by_group_for_thirty_days(shop_account: Account) -> None:
    """`customer.*` leaves out products; what is older is gone."""
    shop_account.v1.customers.create({"name": "old"})
    shop_account.world.advance(seconds=30 * 86400 + 60)
    shop_account.v1.products.create({"name": "Epidemic"})
    young = shop_account.v1.customers.create({"name": "young"})

    found = shop_account.v1.events.list({"type": "customer.*"}).data

    assert [event.data.object.id for event in found] == [young.id]


def test_an_endpoint_gets_what_it_asked_for(shop_account: Account) -> None:
    """`enabled_events` with a group; the secret is shown once."""
    made = shop_account.v1.webhook_endpoints.create(
        {"url": URL, "enabled_events": ["customer.created", "product.created"]}
    )
    again = shop_account.v1.webhook_endpoints.retrieve(made.id)
    shop_account.v1.customers.create({"name": "Ada"})
    shop_account.v1.billing.meters.create(
        {"display_name": "x", "event_name": "x", "default_aggregation": {"formula": "sum"}}
    )
    got: list[str] = []

    shop_account.world.deliver(lambda body, headers: got.append(json.loads(body)["type"]))

    shown = (made.secret[:6], hasattr(again, "secret"))
    assert (shown, got) == (("whsec_", False), ["customer.created"])


def test_what_is_refused_is_sent_again(shop_account: Account) -> None:
    """A 500 keeps the delivery pending; the next attempt brings the same event."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop_account.v1.customers.create({"name": "Ada"})
    receiver = Receiver(500)
    first = shop_account.world.deliver(receiver)

    second = shop_account.world.deliver(receiver, everything=True)

    one, two = receiver.got
    found = (first, second, one["id"] == two["id"], shop_account.world.deliveries.pending())
    assert found == (0, 1, True, 0)


def test_undelivered_events_can_be_listed(shop_account: Account) -> None:
    """`delivery_success=False` until the receiver took them."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop_account.v1.customers.create({"name": "Ada"})
    failed = {"delivery_success": False}
    before = [event.type for event in shop_account.v1.events.list(failed).data]

    shop_account.world.deliver(Receiver())

    after = [event.type for event in shop_account.v1.events.list(failed).data]
    assert (before, after) == (["customer.created"], [])


def test_events_come_twice_when_told_to(shop_account: Account) -> None:
    """The same id, at least once means more than once."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop_account.world.deliveries.manner.copies = 2
    shop_account.v1.customers.create({"name": "Ada"})
    receiver = Receiver()

    shop_account.world.deliver(receiver)

    assert [event["id"] for event in receiver.got] == [receiver.got[0]["id"]] * 2


def test_events_come_shuffled_when_told_to(shop_account: Account) -> None:
    """All of them, in another order."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop_account.world.deliveries.manner.shuffle = True
    made = [shop_account.v1.customers.create({}).id for _ in range(30)]
    receiver = Receiver()

    shop_account.world.deliver(receiver)

    got = [event["data"]["object"]["id"] for event in receiver.got]
    assert (sorted(got) == sorted(made), got == made) == (True, False)


def test_late_events_wait(shop_account: Account) -> None:
    """Not due yet; sent when everything is asked for."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop_account.world.deliveries.manner.late_seconds = 60
    shop_account.v1.customers.create({"name": "Ada"})
    receiver = Receiver()

    due = shop_account.world.deliver(receiver)

    found = (due, shop_account.world.deliver(receiver, everything=True))
    assert found == (0, 1)


def test_an_old_version_has_the_old_shape(shop_account: Account) -> None:
    """Before basil the subscription had the period, and its items had none."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop_account.world.deliveries.manner.api_version = "2024-06-20"
    shop = open_shop(shop_account)
    receiver = Receiver()

    shop_account.world.deliver(receiver)

    event = receiver.got[receiver.types.index("customer.subscription.created")]
    old, item = event["data"]["object"], shop.subscription.items.data[0]
    assert {
        "version": event["api_version"],
        "end": old["current_period_end"],
        "item": "current_period_end" in old["items"]["data"][0],
    } == {"version": "2024-06-20", "end": item.current_period_end, "item": False}


def test_rejected_usage_arrives_as_a_thin_event(shop_account: Account) -> None:
    """Without its data, under the same address and secret."""
    shop_account.world.add_webhook(URL, secret=SECRET)
    shop = open_shop(shop_account)
    shop_account.world.faults.add("reject_usage")
    shop.use(5, "run-1")
    receiver = Receiver()

    shop_account.world.deliver(receiver)

    (thin,) = [event for event in receiver.got if event["object"] == "v2.core.event"]
    found = (thin["type"], "data" in thin)
    assert found == ("v1.billing.meter.error_report_triggered", False)


def test_thin_events_may_have_an_address_and_a_secret_of_their_own(shop_account: Account) -> None:
    """Each receiver gets what is addressed to it, signed with its secret."""
    shop_account.world.add_webhook(
        URL, secret="whsec_other", thin_url=f"{URL}thin/", thin_secret=SECRET
    )
    shop = open_shop(shop_account)
    shop_account.world.faults.add("reject_usage", code="meter_event_invalid_value")
    shop.use(1, "run-1")
    receiver = Receiver()

    shop_account.world.deliver(receiver, to=f"{URL}thin/")

    assert receiver.types == ["v1.billing.meter.error_report_triggered"]


def test_the_address_of_a_destination_can_be_changed(shop_account: Account) -> None:
    """Its events and its secret stay."""
    destinations = shop_account.client.v2.core.event_destinations
    shop_account.world.add_webhook(URL)
    (made,) = shop_account.world.store.where("v2.core.event_destination")

    destinations.update(made["id"], {"webhook_endpoint": {"url": f"{URL}thin/"}})

    (kept,) = shop_account.world.store.where("v2.core.event_destination")
    moved = {**made["webhook_endpoint"], "url": f"{URL}thin/"}
    assert kept == {**made, "webhook_endpoint": moved}


def test_a_signed_thin_event_is_what_the_sdk_accepts(shop_account: Account) -> None:
    """Type, related object and signature."""
    body, header = signed_thin_event(
        "v1.billing.meter.no_meter_found", secret=SECRET, related=("billing.meter", "mtr_1")
    )

    notice = shop_account.client.parse_event_notification(body, header, SECRET)

    related = json.loads(body)["related_object"]
    assert (notice.type, related["url"]) == (
        "v1.billing.meter.no_meter_found",
        "/v1/billing/meters/mtr_1",
    )


def test_a_signed_event_is_what_the_sdk_accepts() -> None:
    """For tests of a receiver alone."""
    body, header = signed_event(
        "customer.created", {"id": "cus_1", "object": "customer"}, secret=SECRET
    )

    event = stripe.Webhook.construct_event(body, header, SECRET)

    assert (event.type, event.data.object.id) == ("customer.created", "cus_1")


def test_a_signed_event_can_be_stale() -> None:
    """The timestamp may be chosen."""
    body, header = signed_event(
        "customer.created", {"id": "cus_1", "object": "customer"}, secret=SECRET, timestamp=1
    )

    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        stripe.Webhook.construct_event(body, header, SECRET)


# -- over HTTP


@pytest.fixture
def listening_site() -> Iterator[tuple[str, Receiver, threading.Event]]:
    """A listening receiver: its address, what it got, and a bell rung by each event."""
    receiver, bell = Receiver(503), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver(body, dict(self.headers.items())))
            self.end_headers()
            if len(receiver.got) == 2:
                bell.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", receiver, bell
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_server_sends_by_itself_and_again_after_a_failure(
    http_account: Account, listening_site: tuple[str, Receiver, threading.Event]
) -> None:
    """The first answer is 503, the second 200: one event, two attempts."""
    url, receiver, bell = listening_site
    http_account.control.add_webhook(url, secret=SECRET)

    http_account.v1.customers.create({"name": "Ada"})
    rung = bell.wait(10)

    assert (rung, receiver.types) == (True, ["customer.created"] * 2)
