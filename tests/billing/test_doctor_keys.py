"""The doctor on keys and secrets: what the settings alone give away."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command

from comp_billing.probes.keys import keys
from comp_billing.probes.stripe import stripe
from comp_core.doctor import Finding, Level, registered_probes
from tests.billing.builders import Site
from tests.billing.examined import bad, good
from tests.billing.stripe_objects import customer, put

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_site_without_stripe_is_well(site: Site) -> None:
    """It says so in words, and nothing of billing has anything to add."""
    site.configure(SECRET_KEY="")
    probes = [probe for probe in registered_probes() if probe.name.startswith("comp_billing.")]
    said = [finding.what for probe in probes for finding in probe.function()]
    assert said == [
        "This site has no Stripe key: nothing is sent to Stripe, and nothing is billed."
    ]


def test_the_right_key(site: Site) -> None:
    """Its kind and mode, and the versions that belong together."""
    assert [words.partition(" 16.")[0] for words in good(keys)] == [
        "The Stripe key is a secret key for test mode, as this site is.",
        "Signing secrets in the settings: 1 for events, 1 for thin events.",
        "Stripe's SDK",
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SECRET_KEY": "pk_test_x"}, "The Stripe key is neither a secret nor a restricted key."),
        ({"SECRET_KEY": "whsec_x"}, "The Stripe key is neither a secret nor a restricted key."),
        (
            {"SECRET_KEY": "sk_test_x", "LIVEMODE": True},
            "The Stripe key is for test mode, but this site mirrors live mode.",
        ),
        (
            {"SECRET_KEY": "rk_live_x", "API_BASE": "https://api.stripe.com"},
            "The Stripe key is for live mode, but this site mirrors test mode.",
        ),
        (
            {"SECRET_KEY": "sk_live_x", "LIVEMODE": True},
            "A key for live mode is sent to 127.0.0.1, which is not Stripe.",
        ),
        (
            {"SECRET_KEY": "sk_test_a,sk_live_b"},
            "The Stripe key holds a blank, a comma or a line break: is there more than one?",
        ),
        (
            {"SECRET_KEY": "sk_test_a\n"},
            "The Stripe key holds a blank, a comma or a line break: is there more than one?",
        ),
    ],
)
def test_a_key_that_cannot_be_right(site: Site, values: dict[str, Any], said: str) -> None:
    """It is told, and Stripe is not asked with it."""
    site.configure(**values)
    found = (bad(keys), bad(stripe), site.standin.calls.total())
    asked = ["problem: Stripe was not asked: the key cannot be right."]
    assert found == ([f"problem: {said}"], asked, 0)


@pytest.mark.parametrize("name", ["WEBHOOK_SECRETS", "THIN_WEBHOOK_SECRETS"])
@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        (["whsec_a", ""], "problem: A webhook secret is empty or no text."),
        (["sk_test_a"], 'problem: There is an API key in COMP_BILLING["{}"]'),
        (["a", "b", "c"], 'warning: COMP_BILLING["{}"] has 3 signing secrets, more than'),
        ([], "warning: There is a Stripe key but no "),
    ],
)
def test_secrets_that_cannot_be_right(site: Site, name: str, secrets: list[str], said: str) -> None:
    """Empty ones, API keys in their place, more than a roll needs, and none."""
    site.configure(**{name: secrets})
    (found,) = bad(keys)
    assert found.startswith(said.format(name))


def test_two_modes_in_one_database(site: Site) -> None:
    """Rows of the other mode, at either end of what has been mirrored."""
    put(customer(livemode=True), as_of=1000)
    put(customer(id="cus_2"), as_of=1001)
    assert bad(keys) == [
        "problem: The mirror has customers of live mode, but this site is for test mode."
    ]


def test_another_sdk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works, because requests name the version."""
    monkeypatch.setattr("comp_billing.stripe_api.SDK_API_VERSION", "2027-03-01.fern")
    (found,) = bad(keys)
    assert found.partition(" is ")[2] == (
        "made for API version 2027-03-01.fern, this library for 2026-10-28.endive."
    )


def test_findings_give_no_secret_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a finding was made of: the last sieve takes keys and addresses out."""
    site.configure(SECRET_KEY="sk_test_hush")
    told = Finding(Level.OK, "sk_test_hush rk_live_b whsec_c", "ada@example.org")
    monkeypatch.setattr("comp_billing.probes.keys._sdk", lambda: told)
    *_, found = keys()
    assert (found.what, found.todo) == ("******************** [key] [key]", "[address]")


def test_the_command_tells_and_fails(site: Site) -> None:
    """Exit status 1 for machines, words and a way out for people, and no key for anybody."""
    site.configure(SECRET_KEY="pk_test_canary")
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("comp_doctor", stdout=out, no_color=True)
    told = out.getvalue()
    said = "PROBLEM  comp_billing.keys: The Stripe key is neither a secret nor a restricted key.\n"
    assert (ended.value.code, said in told, "canary" in told) == (1, True, False)
