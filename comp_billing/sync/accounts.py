"""Whose objects are here: a database mirrors one account of Stripe's, and a key may be another's.

To the key of another account everything looks gone, and its list and events are of strange objects.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import OtherAccount, StripeForbidden, StripeRefused
from comp_billing.models import MirroredAccount
from comp_billing.sync.pacing import TRIES, ask

logger = logging.getLogger(__name__)

PATH = "/v1/account"
# Of a database from before accounts were kept: if Stripe knows one of so many, it is the account.
SAMPLES = 3
UNKNOWN = (
    "This key may not ask which account it is of (GET /v1/account): should it be another account's"
    " than the one mirrored here, only lists that name nothing of what is here will tell."
)
# What each key has answered, so that it is asked once in a process; empty: it may not tell.
_told: WeakKeyDictionary[object, str] = WeakKeyDictionary()


def check(*, tries: int = TRIES, using: str = DEFAULT_DB_ALIAS) -> None:
    """Raise OtherAccount if the key is not of the account mirrored here: nothing may be read then.

    Makes a call for each key and process, and a few more in a database that has rows but does not
    know their account yet. Raises a StripeError. Passes a restricted key that may not ask.
    """
    own = _own(tries)
    if not own:
        return
    rows = MirroredAccount.objects.using(using)
    here = rows.first()
    if here is None and _knows_ours(tries, using):
        rows.bulk_create([MirroredAccount(stripe_id=own)], ignore_conflicts=True)
        here = rows.get()  # perhaps another process's
    if here is None or here.stripe_id != own:
        mirrored = f"that of {here}" if here else "another: Stripe knows none of what is here"
        raise OtherAccount(
            f"The key is of the Stripe account {own}, but the one mirrored here is {mirrored}."
            ' Nothing was read or marked. Correct COMP_BILLING["SECRET_KEY"], or take the account'
            " as ours with comp_sync_stripe --accept-account."
        )


def accept(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """Take the key's account as the one mirrored here from now on; answers its id, empty if the key
    may not tell. Makes a call. Raises a StripeError."""
    own = _own(TRIES)
    if own:
        MirroredAccount.objects.using(using).update_or_create(defaults={"stripe_id": own}, number=1)
    return own


def _own(tries: int) -> str:
    key = stripe_api.key_in_use()
    if key not in _told:
        try:
            _told[key] = str(ask(PATH, tries=tries).data.get("id") or "")
        except (StripeForbidden, StripeRefused):
            _told[key] = ""
        if not _told[key]:
            logger.warning("%s", UNKNOWN)
    return _told[key]


def _knows_ours(tries: int, using: str) -> bool:
    """Whether Stripe has one of some objects that are here, or there are none to ask for."""
    answers = []
    for path in _samples(using):
        try:
            ask(path, tries=tries)
        except StripeForbidden:
            continue
        except StripeRefused:
            answers.append(False)
        else:
            return True
        if len(answers) == SAMPLES:
            break
    return not answers


def _samples(using: str) -> Iterator[str]:
    """Addresses of the newest object of each kind."""
    for model in mirror.KINDS.values():
        newest = model.objects.using(using).order_by("-as_of").first()
        if newest is not None and model.collection:
            yield stripe_api.object_path(model.collection, newest.pk)
