"""Webhook endpoints: made by the command alone, and no secret lost on the way."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from comp_billing import intents
from comp_billing.models import Intent
from tests.billing.builders import Site

URL = "https://site.example/billing/webhook/"


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

    states = Intent.objects.values_list("kind", "state")
    assert (list(states), site.objects("webhook_endpoint")) == (
        [("webhook_endpoint.create", "pending")],
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
