"""Webhook endpoints: made by the command alone, and no secret lost on the way."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from comp_billing import endpoints, event_types, intents, stripe_api
from comp_billing.models import Intent
from tests.billing.builders import Site

URL = "https://site.example/billing/webhook/"
THIN_URL = "https://site.example/billing/webhook/thin/"
# What our mirror, e-mails and accounts cannot be right without.
REQUIRED = {
    "charge": ["dispute.closed", "dispute.created", "failed", "refunded", "succeeded", "updated"],
    "checkout.session": ["completed"],
    "customer": ["created", "deleted", "updated"],
    "customer.subscription": [
        "created",
        "deleted",
        "paused",
        "pending_update_applied",
        "pending_update_expired",
        "resumed",
        "trial_will_end",
        "updated",
    ],
    "invoice": [
        "created",
        "deleted",
        "finalization_failed",
        "finalized",
        "marked_uncollectible",
        "paid",
        "payment_action_required",
        "payment_failed",
        "upcoming",
        "updated",
        "voided",
    ],
    "invoice_payment": ["paid"],
    "payment_method": ["attached", "automatically_updated", "detached"],
    "price": ["created", "deleted", "updated"],
    "product": ["created", "deleted", "updated"],
    "refund": ["created", "failed", "updated"],
    "setup_intent": ["setup_failed", "succeeded"],
}


def set_up(*arguments: str) -> str:
    """What the set-up command says about the endpoints at an address."""
    said = io.StringIO()
    call_command("comp_setup_stripe", *arguments, stdout=said)
    return said.getvalue()


@pytest.mark.parametrize(
    ("path", "shown"), [("/v1/webhook_endpoints", 2), ("/v2/core/event_destinations", 1)]
)
def test_secret_of_a_lost_answer_is_shown_by_the_next_run(
    site: Site, path: str, shown: int
) -> None:
    """The endpoint is asked for again under its key, whose answer holds the secret."""
    site.standin.faults.add("drop_after", path=path, verb="POST")
    with pytest.raises(CommandError, match="run the command again"):
        set_up("--webhook-url", URL)

    said = set_up("--webhook-url", URL)

    kinds = ("webhook_endpoint", "v2.core.event_destination")
    assert [len(site.objects(kind)) for kind in kinds] == [1, 1]
    assert said.count("whsec_") == shown


def test_worker_leaves_endpoints_to_the_command(site: Site) -> None:
    """An answer that only the worker sees would be a secret lost."""
    site.standin.faults.add("refuse", path="/v1/webhook_endpoints", times=9)
    with pytest.raises(CommandError):
        set_up("--webhook-url", URL)
    site.standin.faults.clear()

    site.work()

    left = Intent.objects.filter(state="pending").values_list("kind", flat=True)
    assert (list(left), site.objects("webhook_endpoint")) == (
        ["webhook_endpoint.create"],
        [],
    )


def test_worker_passes_over_kinds_that_nobody_knows(site: Site) -> None:
    """An intent of an app that was taken out of the site does not hold up the others."""
    intents.intend("unheard.of", "one", {})
    site.user()

    settled = intents.carry_out_due()

    assert (settled, Intent.objects.get(kind="unheard.of").attempts) == (1, 0)


def test_file_that_cannot_be_written_to_is_told_before_any_call(site: Site, tmp_path: Path) -> None:
    """Afterwards the secret would be gone."""
    with pytest.raises(CommandError, match="cannot be written to"):
        set_up("--webhook-url", URL, "--write-secret", str(tmp_path / "missing" / "file"))

    assert site.standin.calls.total() == 0


def test_file_of_secrets_is_its_owners_alone(site: Site, tmp_path: Path) -> None:
    """Also when it was there with other permissions."""
    path = tmp_path / "secrets"
    path.touch(0o644)

    set_up("--webhook-url", URL, "--write-secret", str(path))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_endpoint_at_a_former_address_is_named(site: Site) -> None:
    """After a move the command says which endpoint still sends to the old address."""
    set_up("--webhook-url", "https://old.example/billing/webhook/")
    (old,) = site.objects("webhook_endpoint")

    said = set_up("--webhook-url", URL)

    assert f"{old['id']}: still sends to https://old.example/billing/webhook/." in said


def make(site: Site, kind: str, **fields: Any) -> str:
    """Let the endpoint of a kind have been made by an earlier version; its id."""
    set_up("--webhook-url", URL)
    (made,) = site.objects(kind)
    with site.standin.lock, site.standin.store.transaction():
        site.standin.store.put({**made, **fields})
    return str(made["id"])


def test_thin_events_are_sent_beside_the_others(site: Site) -> None:
    """To an address of their own, whose secret is told with its setting."""
    said = set_up("--webhook-url", URL)

    (destination,) = site.objects("v2.core.event_destination")
    assert (destination["webhook_endpoint"]["url"], destination["event_payload"]) == (
        THIN_URL,
        "thin",
    )
    assert f"sends to {URL}: add this to WEBHOOK_SECRETS" in said
    assert f"sends to {THIN_URL}: add this to THIN_WEBHOOK_SECRETS" in said


def test_thin_events_are_sent_where_the_site_wants_them(site: Site) -> None:
    """A host may have given the view another address."""
    set_up("--webhook-url", URL, "--thin-webhook-url", "https://site.example/thin-news")

    (destination,) = site.objects("v2.core.event_destination")
    assert destination["webhook_endpoint"]["url"] == "https://site.example/thin-news"


@pytest.mark.parametrize(
    ("url", "thin"),
    [
        (URL, THIN_URL),
        ("https://site.example/hook", "https://site.example/hook/thin/"),
        ("https://site.example/hook/?site=1", "https://site.example/hook/thin/?site=1"),
    ],
)
def test_the_second_address_follows_from_the_first(url: str, thin: str) -> None:
    """As comp_billing.urls has them."""
    assert endpoints.thin_address(url) == thin


def test_all_events_that_the_library_needs_are_asked_for() -> None:
    """And none that Stripe does not have."""
    needed = {f"{kind}.{what}" for kind, verbs in REQUIRED.items() for what in verbs}
    asked = {*event_types.wanted_events(), *event_types.wanted_thin_events()}
    assert (needed - asked, asked - stripe_api.event_types()) == (set(), set())


@pytest.mark.parametrize("kind", ["webhook_endpoint", "v2.core.event_destination"])
def test_endpoint_is_told_of_the_events_that_it_lacks(site: Site, kind: str) -> None:
    """Those that somebody else asked for stay; the command says what it added."""
    asked = {
        "webhook_endpoint": event_types.wanted_events(),
        "v2.core.event_destination": event_types.wanted_thin_events(),
    }[kind]
    make(site, kind, enabled_events=[*asked[2:], "topup.created"])

    said = set_up("--webhook-url", URL)

    (endpoint,) = site.objects(kind)
    assert endpoint["enabled_events"] == sorted([*asked, "topup.created"])
    assert f"not told of these events and is now: {asked[0]}, {asked[1]}." in said


def test_endpoint_that_is_told_everything_is_left_alone(site: Site) -> None:
    """An asterisk stays one."""
    make(site, "webhook_endpoint", enabled_events=["*"])
    site.standin.calls.clear()

    set_up("--webhook-url", URL)

    (endpoint,) = site.objects("webhook_endpoint")
    posts = [call for call in site.standin.calls if call.startswith("POST")]
    assert (endpoint["enabled_events"], posts) == (["*"], [])


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("2024-09-30.acacia", "come in 2024-09-30.acacia, but this library reads"),
        (None, "come in the account's default version, but this library reads"),
    ],
)
def test_endpoint_of_another_version_is_told_with_the_way_out(
    site: Site, version: str | None, words: str
) -> None:
    """Stripe fixes it when an endpoint is made."""
    make(site, "webhook_endpoint", api_version=version)

    said = set_up("--webhook-url", URL)

    assert (words in said, "delete the endpoint" in said) == (True, True)


def test_endpoint_of_the_same_major_version_is_fine(site: Site) -> None:
    """Minor versions add, they move nothing."""
    make(site, "webhook_endpoint", api_version="2026-09-30.endive")

    assert "this library reads" not in set_up("--webhook-url", URL)


def test_destination_at_the_former_address_is_named_with_the_way_out(site: Site) -> None:
    """Thin events had the webhook's address once; both are kept until the site has the secret."""
    old = make(site, "v2.core.event_destination", webhook_endpoint={"url": URL})

    said = set_up("--webhook-url", URL)

    assert len(site.objects("v2.core.event_destination")) == 2
    assert f"{old}: still sends thin events to {URL}, as earlier versions had it." in said
    assert "set THIN_WEBHOOK_SECRETS, then delete this destination" in said


def test_destination_that_somebody_has_switched_off_is_not_counted(site: Site) -> None:
    """Nothing would arrive."""
    make(site, "v2.core.event_destination", status="disabled")

    said = set_up("--webhook-url", URL)

    assert (len(site.objects("v2.core.event_destination")), said.count("whsec_")) == (2, 1)


def test_secrets_of_an_older_file_are_kept(site: Site, tmp_path: Path) -> None:
    """It had one line, without a name."""
    path = tmp_path / "secrets"
    path.write_text("whsec_a,whsec_b\n")

    set_up("--webhook-url", URL, "--write-secret", str(path))

    first, second = path.read_text().splitlines()
    assert first.startswith("WEBHOOK_SECRETS=whsec_a,whsec_b,whsec_")
    assert second.startswith("THIN_WEBHOOK_SECRETS=whsec_")
