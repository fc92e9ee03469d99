"""What is in doubt is fetched: placeholders, ties, hints, lists that were cut off."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import (
    StripeError,
    StripeForbidden,
    StripeMisconfigured,
    StripeRefused,
    StripeUnavailable,
)
from comp_billing.mirror.sql import FETCH_DELAY
from comp_billing.models import StripeObject, Sync
from comp_billing.stripe_api import Answer
from comp_billing.sync import accounts, requests
from comp_billing.sync.reading import read_object
from comp_billing.tracing import describe

logger = logging.getLogger(__name__)

BATCH = 100
# Answers that are written together, so that a worker which dies has not asked for nothing.
WRITTEN_TOGETHER = 20
# So many rows of one kind are better found in its list, if that was not read lately.
MANY = 500
LISTED = timedelta(hours=6)
# How long a claimed row is left alone; a worker that dies meanwhile is succeeded after it.
LEASE = timedelta(minutes=10)
FIRST_PAUSE = timedelta(seconds=15)
# Of a request that failed for a reason other than its object.
LONGER_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(days=1)
# Of one that was asked for while Stripe failed, so that it is not missed for long afterwards.
LONGEST_AFTER_FAILURE = timedelta(hours=1)
# So many kinds may meet a failing Stripe in a round, as each waits for it: it may fail for one
# kind alone, but then not for the next as well.
FAILURES = 2
# Until when nothing is asked for with a key that was refused. Each row would have its own refusal.
_refused_until: WeakKeyDictionary[object, float] = WeakKeyDictionary()


def fetch_due(*, limit: int = BATCH, using: str = DEFAULT_DB_ALIAS) -> int:
    """A maintenance loop: fetch what is due, one call for each; answers how many rows were settled.

    Makes calls. A row that has newer news by the time the answer is here keeps that. What Stripe
    does not know is marked as gone. When Stripe cannot be asked at all, or the key is another
    account's, the round ends and the rest waits; a kind that the key may not read is passed over,
    and so is the first for which Stripe fails.
    """
    if not stripe_api.is_configured() or _is_refused():
        return 0
    settled = failures = 0
    for model in mirror.KINDS.values():
        if not model.collection or settled >= limit:
            continue
        lease = timezone.now() + LEASE
        claimed = _claim(model, limit=limit - settled, lease=lease, using=using)
        if not claimed:
            continue
        fetched, problem = _fetch(model, claimed, lease=lease, using=using)
        settled += fetched
        if isinstance(problem, StripeForbidden):
            logger.warning("%s objects are not fetched: %s", model.kind, problem)
        elif problem is not None:
            logger.warning("Fetching stopped: %s", _words(problem))
            failures += 1
            if failures == FAILURES or not isinstance(problem, StripeUnavailable):
                break
    return settled


def _is_refused() -> bool:
    return time.monotonic() < _refused_until.get(stripe_api.key_in_use(), 0.0)


def _refuse_key() -> None:
    until = time.monotonic() + LONGER_PAUSE.total_seconds()
    _refused_until[stripe_api.key_in_use()] = until


def _words(problem: StripeError) -> str:
    """What Stripe says of a request stays out of the log, what is said of the key does not."""
    return str(problem) if isinstance(problem, StripeMisconfigured) else describe(problem)


def due(
    model: type[StripeObject], *, using: str = DEFAULT_DB_ALIAS
) -> QuerySet[StripeObject, StripeObject]:
    """The rows of a kind that are to be fetched now."""
    rows: QuerySet[StripeObject, StripeObject] = model.all_objects.using(using)
    return rows.filter(fetch_at__lte=timezone.now())


def _claim(model: type[StripeObject], *, limit: int, lease: datetime, using: str) -> list[str]:
    """Take due rows from other workers for a while; the attempt is counted before it is made."""
    skip = connections[using].features.has_select_for_update_skip_locked
    with transaction.atomic(using=using):
        rows = due(model, using=using).order_by("fetch_at")
        ids = list(rows.select_for_update(skip_locked=skip).values_list("pk", flat=True)[:limit])
        if ids:
            model.all_objects.using(using).filter(pk__in=ids).update(
                fetch_at=lease, fetch_attempts=F("fetch_attempts") + 1
            )
    return ids


def _list_instead(model: type[StripeObject], *, using: str) -> None:
    """Have a kind's list read, a hundred objects a call, when it would take more calls to fetch
    what is due one by one, as on a site that finds a large account. What the list does not name
    stays due."""
    if not model.is_listed:
        return
    many = due(model, using=using)[MANY : MANY + 1].exists()
    recent = Sync.objects.using(using).filter(pk=model.kind, started_at__gt=timezone.now() - LISTED)
    if many and not recent.exists():
        requests.request([model.kind], using=using)


def _fetch(
    model: type[StripeObject], claimed: list[str], *, lease: datetime, using: str
) -> tuple[int, StripeError | None]:
    """How many rows were settled, and what went wrong if asking further makes no sense."""
    try:
        accounts.check(using=using)
    except StripeError as exc:
        _give_back(model, claimed, lease=lease, using=using, pause=LONGER_PAUSE)
        if isinstance(exc, StripeMisconfigured):
            _refuse_key()
        return 0, exc
    # Not sooner: a list is not read either with a key that is refused.
    _list_instead(model, using=using)
    settled = 0
    for start in range(0, len(claimed), WRITTEN_TOGETHER):
        batch = claimed[start : start + WRITTEN_TOGETHER]
        answers, refused, problem = _ask(model, batch)
        settled += _write(model, answers, using=using)
        _postpone(model, refused, lease=lease, using=using)
        # What was asked too soon to be told from the news before it.
        _settle(model, answers, lease=lease, using=using)
        if problem is not None:
            rest = claimed[start + len(answers) + len(refused) :]
            _leave(model, rest, problem, lease=lease, using=using)
            return settled, problem
    return settled, None


def _ask(
    model: type[StripeObject], ids: list[str]
) -> tuple[dict[str, Answer], list[str], StripeError | None]:
    """{id: answer}, what was refused, and what went wrong if asking further makes no sense."""
    answers: dict[str, Answer] = {}
    refused: list[str] = []
    for stripe_id in ids:
        try:
            answers[stripe_id] = read_object(model, stripe_id)
        except StripeRefused as exc:
            logger.warning("%s %s was not answered: %s", model.kind, stripe_id, describe(exc))
            refused.append(stripe_id)
        except StripeError as exc:
            return answers, refused, exc
    return answers, refused, None


def _leave(
    model: type[StripeObject],
    rest: list[str],
    problem: StripeError,
    *,
    lease: datetime,
    using: str,
) -> None:
    """The first of the rest was asked for in vain, the others not at all. If the whole kind may not
    be asked for, they wait longer each time; if Stripe is away, it is none of their attempts."""
    if isinstance(problem, StripeForbidden):
        _postpone(model, rest, lease=lease, using=using)
        return
    if isinstance(problem, StripeUnavailable):
        # It may be this object with which Stripe cannot cope: the others have their turn before it.
        _postpone(
            model,
            rest[:1],
            lease=lease,
            using=using,
            first=LONGER_PAUSE,
            longest=LONGEST_AFTER_FAILURE,
        )
    else:
        _give_back(model, rest[:1], lease=lease, using=using, pause=LONGER_PAUSE)
    _give_back(model, rest[1:], lease=lease, using=using, pause=FIRST_PAUSE)


def _write(model: type[StripeObject], answers: dict[str, Answer], *, using: str) -> int:
    """The answers of each second together: they share a stamp."""
    seconds: defaultdict[int, list[str]] = defaultdict(list)
    for stripe_id, answer in answers.items():
        seconds[answer.date].append(stripe_id)
    written: set[str] = set()
    for date, ids in sorted(seconds.items()):
        with transaction.atomic(using=using):
            written |= mirror.upsert(
                [answers[stripe_id].data for stripe_id in ids if answers[stripe_id].data],
                as_of=date,
                rank=mirror.Rank.LIST,
                api_version=stripe_api.API_VERSION,
                using=using,
            )
            unknown = [stripe_id for stripe_id in ids if not answers[stripe_id].data]
            if unknown:
                written |= mirror.missing(
                    model, unknown, as_of=date, api_version=stripe_api.API_VERSION, using=using
                )
    return len(written & answers.keys())


def _settle(
    model: type[StripeObject], answers: dict[str, Answer], *, lease: datetime, using: str
) -> None:
    """Of rows still claimed: the answer was no later than what is here. Once more, shortly."""
    _postpone(model, list(answers), lease=lease, using=using, first=FETCH_DELAY)


def _postpone(
    model: type[StripeObject],
    ids: list[str],
    *,
    lease: datetime,
    using: str,
    first: timedelta = FIRST_PAUSE,
    longest: timedelta = LONGEST_PAUSE,
) -> None:
    """What is still claimed waits, longer each time."""
    if not ids:
        return
    now = timezone.now()
    with transaction.atomic(using=using):
        claimed = _locked(model, ids, lease=lease, using=using)
        for attempts in set(claimed.values_list("fetch_attempts", flat=True)):
            pause = min(longest, first * (1 << min(max(attempts, 1) - 1, 20)))
            claimed.filter(fetch_attempts=attempts).update(fetch_at=now + pause)


def _give_back(
    model: type[StripeObject], ids: list[str], *, lease: datetime, using: str, pause: timedelta
) -> None:
    """What is still claimed waits, and its attempt is not counted."""
    if not ids:
        return
    with transaction.atomic(using=using):
        claimed = _locked(model, ids, lease=lease, using=using)
        claimed.update(fetch_at=timezone.now() + pause, fetch_attempts=F("fetch_attempts") - 1)


def _locked(
    model: type[StripeObject], ids: list[str], *, lease: datetime, using: str
) -> QuerySet[StripeObject, StripeObject]:
    """What is still claimed, locked one by one in the order in which a page of a list locks its
    rows; an UPDATE locks them in the table's, and one of the two would be a deadlock's victim."""
    rows: QuerySet[StripeObject, StripeObject] = model.all_objects.using(using)
    claimed = rows.filter(pk__in=ids, fetch_at=lease)
    list(claimed.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    return claimed
