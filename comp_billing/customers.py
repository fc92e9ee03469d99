"""One Stripe customer for every user, made by the worker after the sign-up has been committed.

Which users, and when, the site decides (``CUSTOMER_WHEN``); never one whose account was deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils import timezone

from comp_billing import intents, stripe_api, subscriptions
from comp_billing.conf import conf
from comp_billing.confirmation import get_admission, is_admitted
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import Customer, Intent
from comp_billing.stripe_api import Answer
from comp_users.models import Profile

BATCH = 500
# Our clock and Stripe's may differ by this much when we look for what we made.
CLOCK_SLACK = timedelta(days=1)


CREATE = "customer.create"
PERSONAL = ("email", "name")
GONE = "The account was deleted; it had no customer."


def subject_of(user_id: Any) -> str:
    return f"customer.create:user:{user_id}"


def intend_customer(profile: Profile) -> None:
    """Ask for the customer of a profile's user, once; joins the caller's transaction."""
    intents.intend_new(CREATE, subject_of(profile.user_id), _params_of(profile))


def _params_of(profile: Profile) -> dict[str, Any]:
    user = profile.user
    params: dict[str, Any] = {
        "metadata": {"comp_user": str(user.pk), "comp_install": conf.METER_PREFIX}
    }
    email = getattr(user, "email", "") or ""
    full_name = getattr(user, "get_full_name", str)()
    name = profile.display_name or full_name or user.get_username()
    # Stripe takes 512 and 256 characters.
    params |= {"email": email[:512]} if email else {}
    params |= {"name": name[:256]} if name else {}
    return params


def reopen(customers: QuerySet[Customer]) -> int:
    """Ask for a new customer for the users of those that were deleted at Stripe; answers for how
    many. Users who have another one, or whose account is switched off, are passed over."""
    gone = customers.filter(deleted=True).values("pk")
    made = 0
    for intent in Intent.objects.filter(kind=CREATE, result_id__in=gone):
        profile = _lacking().filter(user=intent.params["metadata"]["comp_user"]).first()
        if profile is not None:
            intents.renew(intent, _params_of(profile))
            made += 1
    return made


def _lacking() -> QuerySet[Profile]:
    profiles = Profile.objects.filter(
        is_active=True, closed_at__isnull=True, user__is_active=True, user__customer__isnull=True
    )
    return get_admission().admit(profiles).select_related("user")


def on_profile_created(profile: Profile, **kwargs: Any) -> None:
    """Receiver of ``profile_created``, inside the transaction of the sign-up."""
    if intents.can_intend() and is_admitted(profile):
        intend_customer(profile)


def ensure_customers(*, limit: int = BATCH) -> int:
    """For the maintenance loop: users that were there before Stripe was switched on, or have come
    to be admitted. A few statements for each batch of profiles.

    Answers how many intents were made.
    """
    if not stripe_api.is_configured():
        return 0
    made = 0
    for batch in _batches(_lacking()):
        subjects = {subject_of(profile.user_id): profile for profile in batch}
        known = Intent.objects.filter(subject__in=list(subjects)).values_list("subject", flat=True)
        made += _intend_all({key: subjects[key] for key in subjects.keys() - set(known)})
        if made >= limit:
            break
    return made


def _intend_all(subjects: dict[str, Profile]) -> int:
    now = timezone.now()
    asked = [
        Intent(kind=CREATE, subject=key, params=_params_of(profile), next_attempt_at=now)
        for key, profile in sorted(subjects.items())
    ]
    # Another process may have asked for some meanwhile.
    return len(Intent.objects.bulk_create(asked, ignore_conflicts=True))


def _batches(profiles: QuerySet[Profile]) -> Iterator[list[Profile]]:
    last = 0
    while batch := list(profiles.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield batch
        last = batch[-1].pk


def customer_of(user: Any) -> Customer | None:
    """The user's live customer."""
    found: Customer | None = Customer.objects.filter(user=user).first()
    return found


def _create(intent: Intent) -> Answer:
    if _is_closed(intent):
        return _adopt(intent)
    params = intents.tagged(intent)
    try:
        return intents.post("/v1/customers", intent, params)
    except StripeRefused as exc:
        if exc.code != "email_invalid" and exc.param != "email":
            raise
    # An address such as root@localhost serves here but not at Stripe: a customer without it.
    params.pop("email", None)
    key = f"{intent.idempotency_key}-no-email"
    return stripe_api.call("post", "/v1/customers", params, idempotency_key=key)


def _is_closed(intent: Intent) -> bool:
    user = intent.params["metadata"]["comp_user"]
    return Profile.objects.filter(user=user, closed_at__isnull=False).exists()


def _adopt(intent: Intent) -> Answer:
    """Of a deleted account: what an attempt made whose answer was lost, so that its personal data
    is removed too; nothing new is made."""
    if found := _find(intent):
        return found
    raise StripeRefused(GONE, code="account_deleted")


def _find(intent: Intent) -> Answer | None:
    """By our mark in the metadata, over a list: search would not see the latest ones."""
    since = int((intent.created - CLOCK_SLACK).timestamp())
    return stripe_api.find(
        "/v1/customers",
        {"created": {"gte": since}},
        lambda customer: intents.is_made_by(intent, customer),
    )


def _link(intent: Intent, data: dict[str, Any]) -> None:
    """The customer is the user's, and is to be subscribed to what is on offer."""
    user = get_user_model()._default_manager.filter(pk=intent.params["metadata"]["comp_user"])
    if not user.exists():
        return
    Customer.all_objects.filter(pk=data["id"], deleted=False).update(user=user.get())
    subscriptions.plan(data["id"])


intents.KINDS[CREATE] = Kind(send=_create, find=_find, settle=_link, personal=PERSONAL)
