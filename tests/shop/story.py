"""What the shop's test does in a process of its own: mirror refunds in every way there is.

Writes one JSON object to standard output.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from typing import Any

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  # needs the apps
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402
from refunds.models import Note, Refund  # noqa: E402

from comp_billing import event_types, mirror, stripe_api  # noqa: E402
from comp_billing.models import Charge, Event  # noqa: E402
from comp_billing.sync.fetching import fetch_due  # noqa: E402
from comp_billing.testing import StandIn, StandInClient  # noqa: E402
from comp_billing.testing.signing import sign  # noqa: E402
from tests.billing.standin_rig import in_process, open_shop  # noqa: E402


def migrations() -> str:
    """The answer of ``makemigrations --check`` after the first migrations were made."""
    call_command("makemigrations", "refunds", verbosity=0)
    output = io.StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=output)
    call_command("migrate", verbosity=0)
    call_command("check", fail_level="WARNING", stdout=io.StringIO())
    return output.getvalue().strip()


def refunded(standin: StandIn, *amounts: int) -> list[str]:
    """A charge at Stripe, and so much given back of it; the refunds' ids."""
    account = in_process(standin)
    shop = open_shop(account)
    shop.use(1_000_000, "run-1")
    shop.next_month()
    (charge,) = account.v1.charges.list({"customer": shop.customer.id}).data
    refunds = [
        account.v1.refunds.create({"charge": charge.id, "amount": amount}) for amount in amounts
    ]
    return [refund.id for refund in refunds]


def told(standin: StandIn, refund_id: str) -> dict[str, Any]:
    """The event about a refund."""
    events = standin.store.where("event")
    (found,) = [event for event in events if event["data"]["object"].get("id") == refund_id]
    return dict(found)


def deliver(event: dict[str, Any], **fields: Any) -> int:
    body = json.dumps({**event, **fields}).encode()
    signature = {"Stripe-Signature": sign(body, "whsec_shop")}
    kind = "application/json"
    return (
        Client().post("/billing/webhook/", body, content_type=kind, headers=signature).status_code
    )


def fetch() -> int:
    """Later, when what is in doubt is due."""
    for model in (Charge, Refund):
        due = model.all_objects.filter(fetch_at__isnull=False)
        due.update(fetch_at=timezone.now() - timedelta(seconds=1))
    return fetch_due()


def by_event(event: dict[str, Any]) -> dict[str, Any]:
    """Told twice, before its charge: a row, a placeholder, one effect; then the charge arrives."""
    statuses = [deliver(event), deliver(event)]
    refund = Refund.objects.get()
    awaited = Charge.all_objects.get()
    before = [refund.amount, refund.status, refund.charge_id == awaited.pk, awaited.is_placeholder]
    fetch()
    charge = Charge.objects.get()
    return {
        "statuses": statuses,
        "row": before,
        "state": Event.objects.get().state,
        "notes": list(Note.objects.values_list("text", flat=True)),
        "charge": [charge.amount, charge.data["amount_refunded"], charge.refunds.count()],
    }


def by_worker(refund_id: str) -> list[Any]:
    """An event that was lost, and one in words of another version: the refund is fetched."""
    mirror.fetch_later(Refund, [refund_id])
    awaited = Refund.all_objects.get(pk=refund_id).is_placeholder
    fetch()
    refund = Refund.objects.get(pk=refund_id)
    return [awaited, refund.amount, refund.charge is not None, refund.fetch_at]


def by_hint(event: dict[str, Any], refund_id: str) -> list[Any]:
    """An event of another version of the API names the object; the worker reads it."""
    obj = {**event["data"]["object"], "amount": "in other words"}
    status = deliver(event, api_version="2024-06-20", data={"object": obj})
    awaited = Refund.all_objects.get(pk=refund_id).is_placeholder
    fetch()
    return [status, awaited, Refund.objects.get(pk=refund_id).amount]


def tombstone(event: dict[str, Any]) -> list[Any]:
    """Said to be deleted, it stays so, whatever is told late; its last words are kept."""
    late = {"created": event["created"] + 20, "id": "evt_late"}
    deliver(event, id="evt_gone", type="refund.deleted", created=event["created"] + 10)
    deliver(event, type="refund.updated", **late)
    refund = Refund.all_objects.get(pk=event["data"]["object"]["id"])
    return [refund.deleted, refund.amount, Note.objects.filter(refund=refund).count()]


def by_list(standin: StandIn) -> list[Any]:
    """Events were lost; Stripe's list of refunds is read with those of the library's kinds, and
    what was said to be deleted stays so."""
    (charge,) = standin.store.where("charge")
    refund = in_process(standin).v1.refunds.create({"charge": charge["id"], "amount": 7})
    output = io.StringIO()
    call_command("comp_sync_stripe", no_fetch=True, stdout=output)
    last = output.getvalue().splitlines()[-1].split()[:2]
    return [*last, Refund.objects.get(pk=refund.id).amount, Refund.objects.count()]


def pages(refund_id: str) -> list[int]:
    """The admin: list, all of them, one row, its charge; nothing can be added."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.org", "pw"))
    charge = Refund.objects.get(pk=refund_id).charge_id
    addresses = (
        "/admin/refunds/refund/",
        f"/admin/refunds/refund/?presence=all&q={refund_id}",
        f"/admin/refunds/refund/{refund_id}/change/",
        f"/admin/comp_billing/charge/{charge}/change/",
        "/admin/refunds/refund/add/",
    )
    return [client.get(address).status_code for address in addresses]


def there_and_back() -> int:
    """How many refunds are left after the host's app was taken away and put back."""
    call_command("migrate", "refunds", "zero", verbosity=0)
    call_command("migrate", verbosity=0)
    return Refund.all_objects.count()


def main() -> None:
    story: dict[str, Any] = {"migrations": migrations()}
    standin = StandIn()
    first, second, third = refunded(standin, 40, 10, 5)
    with stripe_api.use_http_client(StandInClient(standin)):
        story |= {"by_event": by_event(told(standin, first)), "by_worker": by_worker(second)}
        story["by_hint"] = by_hint(told(standin, third), third)
        story["tombstone"] = tombstone(told(standin, first))
        story["by_list"] = by_list(standin)
    story["pages"] = pages(second)
    story["asked_for"] = [e for e in event_types.wanted_events() if e.startswith("refund.")]
    standin.close()
    json.dump({**story, "left": there_and_back()}, sys.stdout)


main()
