"""The doctor asks Stripe: few calls, short waits, and one finding when nobody answers."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
import stripe as sdk
from django.utils import timezone
from freezegun import freeze_time

from comp_billing import stripe_api
from comp_billing.mirror import KINDS
from comp_billing.models import MirroredAccount
from comp_billing.probes.stripe import stripe
from comp_billing.testing import Server, StandIn
from comp_core.doctor import Finding
from tests.billing.builders import Site
from tests.billing.deliveries import event
from tests.billing.examined import Answering, bad, connected, good, happen, receive

pytestmark = pytest.mark.django_db(transaction=True)
CANARY = "sk_test_canary whsec_canary canary@example.org"


def asked(site: Site, answers: dict[str, Any]) -> list[Finding]:
    """What is found when some paths answer otherwise than the stand-in."""
    with stripe_api.use_http_client(Answering(site.standin, answers)):
        return list(stripe())


def wrong(found: list[Finding]) -> list[str]:
    return [f"{one.level.value}: {one.what}" for one in found if one.level.value != "ok"]


def mirroring(site: Site, account: str) -> Site:
    """A connected site whose objects are this account's."""
    connected(site)
    MirroredAccount.objects.update_or_create(defaults={"stripe_id": account}, number=1)
    return site


def error(message: str, *, status: int = 403, code: str = "") -> tuple[int, Any]:
    return status, {"error": {"type": "invalid_request_error", "message": message, "code": code}}


def test_a_healthy_site(site: Site) -> None:
    """All is told, nothing is wrong, and one set of calls is enough."""
    receive(happen(mirroring(site, "acct_standin")))
    said = [re.sub(r"_(test_)?\w{10,}", "_1", words) for words in good(stripe)]
    assert (said, dict(site.standin.calls)) == (
        [
            "Stripe answers, and takes the key for all that was asked.",
            "The clocks of this machine and of Stripe agree.",
            "The webhook endpoint we_1 sends what is needed.",
            "The event destination ed_1 sends what is needed.",
            "The 1 newest events that Stripe was to deliver here have arrived.",
        ],
        {
            "GET /v1/account": 1,
            "GET /v1/events": 2,
            "GET /v1/webhook_endpoints": 1,
            "GET /v2/core/event_destinations": 1,
        },
    )


def test_without_traffic_nothing_is_wrong(site: Site) -> None:
    """A site that was set up just now is well."""
    connected(site)
    assert good(stripe)[-1] == "Stripe has had nothing to deliver here yet, or nothing for a month."


def test_a_wrong_key(site: Site) -> None:
    """One finding, one call: the rest would fare no better."""
    site.standin.faults.add("401", times=9)
    said = ["problem: Stripe does not accept the key: it is mistyped, was rolled, or has expired."]
    assert (bad(stripe), site.standin.calls.total()) == (said, 1)


@pytest.mark.parametrize("kind", ["refuse", "500_before"])
def test_a_stripe_that_is_away(site: Site, kind: str) -> None:
    """One finding, and nothing is tried again."""
    site.standin.faults.add(kind, times=9)
    said = "problem: Stripe cannot be reached at 127.0.0.1, or does not answer: nothing else was"
    assert (bad(stripe), site.standin.calls.total()) == ([f"{said} asked."], 1)


def test_a_stripe_that_is_busy(site: Site) -> None:
    """That is no fault of the site's settings."""
    site.standin.faults.add("429", times=9)
    said = "warning: Stripe asks this account to slow down, so that it could not be examined."
    assert bad(stripe) == [said]


def test_a_stripe_that_hangs(
    settings: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor's own patience counts, not that of the site's other calls."""
    server = Server(StandIn()).start()
    settings.COMP_BILLING = {**settings.COMP_BILLING, "API_BASE": server.base_url}
    server.world.faults.add("delay", seconds=3)
    monkeypatch.setattr("comp_billing.probes.stripe.PATIENCE_SECONDS", 0.2)
    begun = time.monotonic()
    found = bad(stripe)
    took = time.monotonic() - begun
    server.stop()
    assert (len(found), took < 2.5) == (1, True)


def test_permissions_that_a_restricted_key_lacks(site: Site) -> None:
    """Each by the list that it guards, and by Stripe's name for it; the rest is asked all the
    same. Of a restricted key every list is tried that the worker reads."""
    connected(site).configure(SECRET_KEY="rk_test_x")
    site.standin.faults.add("403", path="/v1/invoices")
    site.standin.faults.add("403", path="/v1/webhook_endpoints")
    assert bad(stripe) == [
        "problem: The restricted key may not read /v1/invoices (rak_standin_write), "
        "/v1/webhook_endpoints (rak_standin_write)."
    ]


def test_a_restricted_key_that_may_read_all(site: Site) -> None:
    """Every list that the worker reads has been asked for, once."""
    connected(site).configure(SECRET_KEY="rk_test_x")
    found = bad(stripe)
    lists = {f"GET /v1/{model.collection}" for model in KINDS.values() if model.is_listed}
    assert (found, [site.standin.calls[name] for name in lists]) == ([], [1] * len(lists))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (20, []),
        (60, ["warning: behind Stripe's; from 300 seconds on, webhooks are refused."]),
        (900, ["problem: behind Stripe's: webhooks are refused for being too old or too early."]),
        (-60, ["warning: ahead of Stripe's; from 300 seconds on, webhooks are refused."]),
    ],
)
def test_clocks_that_differ(site: Site, seconds: int, said: list[str]) -> None:
    """By the Date of an answer; what is too much depends on the tolerance."""
    connected(site).configure(CLOCK="django.utils.timezone.now")
    with freeze_time(timezone.now() - timedelta(seconds=seconds)):
        found = bad(stripe)
    assert [re.sub(r"This machine's clock is \d+ seconds ", "", words) for words in found] == said


def test_events_of_other_accounts(site: Site) -> None:
    """They are stored only; whoever sends them should be told less."""
    mirroring(site, "acct_own")
    receive([event(account="acct_other")])
    found = asked(site, {"/v1/account": (200, {"id": "acct_own", "object": "account"})})
    assert wrong(found) == [
        "warning: Events of other accounts arrive and are only stored: acct_other."
    ]


def test_events_that_name_our_own_account(site: Site) -> None:
    """Those were meant for us, and change nothing."""
    mirroring(site, "acct_own")
    receive([event(account="acct_own")])
    found = asked(site, {"/v1/account": (200, {"id": "acct_own", "object": "account"})})
    assert wrong(found) == [
        "problem: Events arrive that name this key's own account, acct_own: they are only stored."
    ]


def test_the_key_of_another_account_than_is_mirrored(site: Site) -> None:
    """As the readings would have it, which refuse."""
    mirroring(site, "acct_former")
    found = asked(site, {"/v1/account": (200, {"id": "acct_own", "object": "account"})})
    assert wrong(found) == [
        "problem: The key is of the account acct_own, but acct_former is mirrored here."
        " Nothing is read, fetched or sent."
    ]


def test_a_site_that_has_changed_its_mode(site: Site) -> None:
    """Its account is the same in both."""
    connected(site)
    MirroredAccount.objects.update(livemode=True)
    found = asked(site, {})
    assert wrong(found) == [
        "problem: The site is in test mode, but live mode is mirrored here."
        " Nothing is read, fetched or sent."
    ]


def test_a_key_that_may_not_see_its_account(site: Site) -> None:
    """The comparison is left out."""
    connected(site)
    receive([event(account="acct_other")])
    found = asked(site, {"/v1/account": error("No.")})
    assert wrong(found) == [
        "warning: Events of other accounts arrive and are only stored: acct_other."
    ]


def test_a_key_of_another_account(site: Site) -> None:
    """Stripe does not know an event that this site has."""
    connected(site)
    receive([event(created=site.standin.now() - 60)])
    assert bad(stripe) == [
        "problem: Stripe does not know the newest event of this site: the key is another account's."
    ]


@pytest.mark.parametrize(
    "answer",
    [
        error(CANARY, status=401),
        error(CANARY, status=403),
        error(CANARY, status=404, code=CANARY),
        error(CANARY, status=429),
        error(CANARY, status=500),
        (200, {"data": CANARY}),
        (
            200,
            {
                "data": [
                    {"url": f"https://sk_test_canary@site.example/?{CANARY}", "status": "enabled"}
                ]
            },
        ),
        (200, {"data": [{"id": CANARY, "type": CANARY, "created": 1, "url": 5}]}),
        sdk.APIConnectionError(CANARY),  # type: ignore[no-untyped-call]  # untyped in the SDK
    ],
    ids=["401", "403", "404", "429", "500", "no list", "endpoint", "event", "broken"],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/webhook_endpoints", "/v2/core"])
def test_no_secret_is_told(site: Site, path: str, answer: Any) -> None:
    """Wherever Stripe's answer carries one."""
    connected(site).configure(SECRET_KEY="sk_test_canary", WEBHOOK_SECRETS=["whsec_canary"])
    told = " ".join(f"{one.what} {one.todo}" for one in asked(site, {path: answer}))
    assert "canary" not in told
