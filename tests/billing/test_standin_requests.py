"""What the stand-in takes and refuses: keys, parameters, idempotency, pages, expansion."""

from __future__ import annotations

import threading
import time

import pytest
import stripe

from comp_billing.testing import StandIn
from tests.billing.standin_rig import Account, in_process, open_shop, refusal_of


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"emial": "a@b.de"}, (400, "parameter_unknown", "emial")),
        ({"invoice_settings": {"x": "y"}}, (400, "parameter_unknown", "invoice_settings[x]")),
        ({"balance": "much"}, (400, "parameter_invalid_integer", "balance")),
        ({"tax_exempt": "perhaps"}, (400, None, "tax_exempt")),
        ({"email": "nowhere"}, (400, "email_invalid", "email")),
        ({"metadata": "text"}, (400, None, "metadata")),
        ({"payment_method": "pm_nothing"}, (400, "resource_missing", "payment_method")),
    ],
)
def test_wrong_parameters_are_refused(
    account: Account, params: dict[str, object], expected: tuple[object, ...]
) -> None:
    """Unknown, misplaced, mistyped, of no known value, or naming nothing: 400 and no customer."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.customers.create(params)

    assert (refusal_of(refusal), account.v1.customers.list().data) == (expected, [])


def test_a_missing_parameter_is_named(account: Account) -> None:
    """Required by the SDK's own type."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.billing.meters.create({"display_name": "x", "event_name": "x"})

    assert refusal_of(refusal) == (400, "parameter_missing", "default_aggregation")


@pytest.mark.parametrize("key", ["nonsense", "sk_live_123456789", "whsec_123"])
def test_only_secret_test_keys_are_accepted(stripe_standin: StandIn, key: str) -> None:
    """401 for what is no key, and for a live one."""
    with pytest.raises(stripe.AuthenticationError) as refusal:
        in_process(stripe_standin, key=key).v1.customers.list()

    assert (refusal.value.http_status, key in str(refusal.value)) == (401, False)


def test_what_the_sdk_knows_but_the_stand_in_does_not_says_so(account: Account) -> None:
    """501 with the call's name, not a wrong answer."""
    with pytest.raises(stripe.APIError, match="does not play GET /v1/payouts"):
        account.v1.payouts.list()


def test_an_unknown_id_is_missing(account: Account) -> None:
    """404 `resource_missing`."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.customers.retrieve("cus_nobody")

    assert refusal_of(refusal) == (404, "resource_missing", "id")


# -- idempotency


def test_the_same_key_replays_the_first_answer(account: Account) -> None:
    """One customer, the same body, and a header that says so."""
    options = {"idempotency_key": "once"}
    first = account.v1.customers.create({"name": "Ada"}, options)

    again = account.v1.customers.create({"name": "Ada"}, options)

    assert (again.id, again.last_response.headers["Idempotent-Replayed"]) == (first.id, "true")


def test_the_same_key_with_other_parameters_is_an_error(account: Account) -> None:
    """400 of type idempotency_error."""
    account.v1.customers.create({"name": "Ada"}, {"idempotency_key": "once"})

    with pytest.raises(stripe.IdempotencyError) as refusal:
        account.v1.customers.create({"name": "Grace"}, {"idempotency_key": "once"})

    assert refusal.value.http_status == 400


def test_a_key_is_forgotten_after_a_day(account: Account) -> None:
    """The same key makes a second customer then."""
    options = {"idempotency_key": "once"}
    first = account.v1.customers.create({"name": "Ada"}, options)
    account.world.advance(seconds=24 * 3600 + 1)

    again = account.v1.customers.create({"name": "Ada"}, options)

    assert again.id != first.id


def test_a_refused_request_does_not_use_its_key_up(account: Account) -> None:
    """Validation errors are not saved."""
    options = {"idempotency_key": "once"}
    with pytest.raises(stripe.InvalidRequestError):
        account.v1.customers.create({"name": "Ada", "email": "nowhere"}, options)

    made = account.v1.customers.create({"name": "Ada"}, options)

    assert made.name == "Ada"


def test_a_key_in_use_is_a_conflict(http_account: Account) -> None:
    """409 while the first request with the key is being worked on."""
    http_account.world.faults.add("delay", path="/v1/customers", seconds=0.5)
    options = {"idempotency_key": "once"}
    first = threading.Thread(
        target=http_account.v1.customers.create, args=({"name": "Ada"}, options)
    )
    first.start()
    while http_account.world.calls["POST /v1/customers"] == 0:
        time.sleep(0.005)

    with pytest.raises(stripe.APIError) as refusal:
        http_account.v1.customers.create({"name": "Ada"}, options)

    first.join()
    found = (refusal.value.http_status, len(http_account.v1.customers.list().data))
    assert found == (409, 1)


# -- lists, searches, expansion


def test_pages_follow_a_cursor_and_end(account: Account) -> None:
    """Newest first, none twice, none left out."""
    made = [account.v1.customers.create({"name": str(n)}).id for n in range(5)]

    first = account.v1.customers.list({"limit": 2})
    every = [customer.id for customer in first.auto_paging_iter()]

    assert (first.has_more, every) == (True, made[::-1])


def test_a_page_holds_at_most_a_hundred(account: Account) -> None:
    """101 is refused."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.customers.list({"limit": 101})

    assert refusal_of(refusal) == (400, "parameter_invalid_integer", "limit")


def test_lists_are_filtered_by_creation(account: Account) -> None:
    """`created[gte]` leaves out what is older."""
    account.v1.customers.create({"name": "old"})
    account.world.advance(seconds=100)
    young = account.v1.customers.create({"name": "young"})

    found = account.v1.customers.list({"created": {"gte": young.created}}).data

    assert [customer.name for customer in found] == ["young"]


def test_customers_are_found_by_metadata_and_email(account: Account) -> None:
    """Terms joined by AND; text is compared without regard to case."""
    wanted = account.v1.customers.create({"email": "Ada@x.org", "metadata": {"user": "7"}})
    account.v1.customers.create({"email": "ada@x.org", "metadata": {"user": "8"}})

    found = account.v1.customers.search({"query": 'email:"ada@x.org" AND metadata["user"]:"7"'})

    assert [customer.id for customer in found.data] == [wanted.id]


def test_ids_are_expanded_on_demand(account: Account) -> None:
    """Nested paths, in an object and in a list."""
    shop = open_shop(account)
    path = "customer.invoice_settings.default_payment_method"

    one = account.v1.subscriptions.retrieve(shop.subscription.id, {"expand": [path]})
    listed = account.v1.subscriptions.list({"expand": ["data.customer"]}).data[0]

    last4 = one.customer.invoice_settings.default_payment_method.card.last4
    assert (last4, listed.customer.email) == ("4242", "ada@example.org")


@pytest.mark.parametrize("path", ["nothing", "data.items.data.price.product"])
def test_what_cannot_be_expanded_is_refused(account: Account, path: str) -> None:
    """An unknown property, and more than four levels."""
    open_shop(account)

    with pytest.raises(stripe.InvalidRequestError, match="expand"):
        account.v1.subscriptions.list({"expand": [path]})
