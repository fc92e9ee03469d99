"""Whose objects are here: a database mirrors one mode of one account of Stripe's, and a key may be
another's.

To the key of another account, or of the same account's other mode, everything looks gone, and its
list and events are of strange objects.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet, Subquery

from comp_billing import mirror, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import (
    OtherAccount,
    StripeForbidden,
    StripeRateLimited,
    StripeRefused,
    StripeUnavailable,
)
from comp_billing.models import MirroredAccount
from comp_billing.sync.pacing import TRIES, ask

logger = logging.getLogger(__name__)

PATH = "/v1/account"
# If Stripe knows one of so many objects that are here, they are of the key's account and mode.
SAMPLES = 3
# That it knows none is believed for so long: they may have been deleted, and others have come.
BELIEVED_SECONDS = 600
# Account and mode: both modes of an account have the same id, which the key is told by alone.
IS_LIVE = {"sk_test_": False, "rk_test_": False, "sk_live_": True, "rk_live_": True}
UNKNOWN = (
    "This key may not ask which account it is of (GET /v1/account): it is taken for that of the"
    " objects that are here as long as Stripe knows one of a few of them."
)
# What each key has answered, so that it is asked once in a process; empty: it may not tell.
_told: WeakKeyDictionary[object, str] = WeakKeyDictionary()
# By key and database: whether Stripe knows what is here, and until when that is believed.
_knows: WeakKeyDictionary[object, dict[str, tuple[bool, float]]] = WeakKeyDictionary()


def check(*, tries: int = TRIES, using: str = DEFAULT_DB_ALIAS) -> None:
    """Raise OtherAccount if the key is not of the account and the mode mirrored here: nothing may
    be read or sent then. While nothing of Stripe's is here, any account is taken.

    Makes a call for each key and process, and a few more when only what is here can tell. Raises a
    StripeError.
    """
    check_against(MirroredAccount.objects.using(using).first(), tries=tries, using=using)


def joined_to(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Rows that bring the account mirrored here along, for ``account_of``: it takes no statement of
    its own then."""
    here = MirroredAccount.objects.all()
    joined: QuerySet[Any] = rows.annotate(
        account_id=Subquery(here.values("stripe_id")[:1]),
        account_livemode=Subquery(here.values("livemode")[:1]),
    )
    return joined


def account_of(row: Any) -> MirroredAccount | None:
    """The account that a row of ``joined_to`` has brought along; None: nothing is mirrored yet."""
    if row.account_id is None:
        return None
    return MirroredAccount(stripe_id=row.account_id, livemode=row.account_livemode)


def check_against(
    here: MirroredAccount | None, *, tries: int = TRIES, using: str = DEFAULT_DB_ALIAS
) -> None:
    """As ``check``, of an account mirrored here that has just been read."""
    livemode = _site_mode()
    own = _own(tries, here, using)
    is_same = here is not None and here.livemode == livemode and own in ("", here.stripe_id)
    if is_same and own:
        return
    fits = _knows_ours(tries, using) if is_same or here is None else not any(_samples(using))
    if not fits:
        raise OtherAccount(_words(own, here, livemode))
    if not is_same:
        _keep(own or str(here or ""), livemode, using)


def accept(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """Take the key's account and mode as those mirrored here from now on; answers its id, empty if
    the key may not tell: then it is taken by this process alone. Makes a call. Raises a
    StripeError."""
    livemode = _site_mode()
    here = MirroredAccount.objects.using(using).first()
    _told.pop(stripe_api.key_in_use(), None)
    own = _own(TRIES, None, using)
    _keep(own or str(here or ""), livemode, using)
    _remember(using, knows=True, surely=True)
    return own


def _keep(own: str, livemode: bool, using: str) -> None:
    if own:
        values = {"stripe_id": own, "livemode": livemode}
        MirroredAccount.objects.using(using).update_or_create(defaults=values, number=1)


def _site_mode() -> bool:
    """Whether the key is for live mode; raises OtherAccount if the site is not. Keys of another
    form, as of test doubles, are for the site's."""
    livemode = IS_LIVE.get(conf.SECRET_KEY[:8], conf.LIVEMODE)
    if livemode != conf.LIVEMODE:
        raise OtherAccount(
            f"The key is for {_mode(livemode)} mode, but this site mirrors {_mode(conf.LIVEMODE)}"
            " mode. Nothing was read, marked or sent. Correct"
            ' COMP_BILLING["SECRET_KEY"] or ["LIVEMODE"]; one database mirrors one mode.'
        )
    return livemode


def _mode(livemode: bool) -> str:
    return "live" if livemode else "test"


def _words(own: str, here: MirroredAccount | None, livemode: bool) -> str:
    mirrored = f"that of {here}" if here else "another: Stripe knows none of what is here"
    if here and here.livemode != livemode:
        key = f"The key is for {_mode(livemode)} mode of {own or 'a Stripe account'}"
        mirrored += f" in {_mode(here.livemode)} mode"
    elif own:
        key = f"The key is of the Stripe account {own}"
    else:
        key = "The key may not tell which Stripe account it is of, and Stripe knows none of what is"
        key += " here to it"
        mirrored = f"that of {here}" if here else "another"
    return (
        f"{key}, but the one mirrored here is {mirrored}. Nothing was read, marked or sent. Correct"
        ' COMP_BILLING["SECRET_KEY"], or take the account as ours with comp_sync_stripe'
        " --accept-account."
    )


def _own(tries: int, here: MirroredAccount | None, using: str) -> str:
    """The id of the key's account, empty if it may not tell. If the account is known here and this
    one question is not answered, what is here tells as well whose key it is."""
    key = stripe_api.key_in_use()
    if key not in _told:
        try:
            _told[key] = str(ask(PATH, tries=tries).data.get("id") or "")
        except (StripeForbidden, StripeRefused):
            _told[key] = ""
        except (StripeRateLimited, StripeUnavailable):
            if here is None or not any(_samples(using)) or not _knows_ours(1, using):
                raise
            _told[key] = ""
            return ""
        if not _told[key]:
            logger.warning("%s", UNKNOWN)
    return _told[key]


def _remember(using: str, *, knows: bool, surely: bool) -> None:
    until = float("inf") if surely else time.monotonic() + BELIEVED_SECONDS
    _knows.setdefault(stripe_api.key_in_use(), {})[using] = knows, until


def _knows_ours(tries: int, using: str) -> bool:
    """Whether Stripe has one of some objects that are here, or there are none that may be read."""
    knows, until = _knows.get(stripe_api.key_in_use(), {}).get(using, (False, 0.0))
    if time.monotonic() < until:
        return knows
    answers: list[bool] = []
    forbidden: set[str] = set()
    for path in _samples(using):
        kind = path.rpartition("/")[0]
        if kind in forbidden:
            continue
        try:
            ask(path, tries=tries)
            answers.append(True)
        except StripeForbidden:
            forbidden.add(kind)
        except StripeRefused:
            answers.append(False)
        if True in answers or len(answers) == SAMPLES:
            break
    knows = True in answers or not answers
    if answers or forbidden:
        _remember(using, knows=knows, surely=True in answers)
    return knows


def _samples(using: str) -> Iterator[str]:
    """Addresses of the newest objects: one of each kind, then a second one, and a third one."""
    kinds = [model for model in mirror.KINDS.values() if model.collection]
    newest = [
        [
            stripe_api.object_path(model.collection, key)
            for key in model.objects.using(using)
            .order_by("-as_of")
            .values_list("pk", flat=True)[:SAMPLES]
        ]
        for model in kinds
    ]
    return filter(None, chain.from_iterable(zip_longest(*newest)))
