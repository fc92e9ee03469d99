"""Lists that somebody wants read: asked for in a row, read by the worker some pages at a time."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable

from django.db import DEFAULT_DB_ALIAS, OperationalError
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import (
    ListBusy,
    StripeError,
    StripeRateLimited,
    StripeUnavailable,
)
from comp_billing.models import StripeObject, Sync
from comp_billing.sync import bulk
from comp_billing.tracing import describe, log_error

logger = logging.getLogger(__name__)

# In a round, so that its thread ends soon when its worker does; the next goes on from there.
PAGES = 20
# Seconds; the doctor complains of half of it.
CLOCKS_AGREE_WITHIN = 60


def request(kinds: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Have the worker read the whole lists of these kinds; answers those that it will read.

    Others cannot be listed. A reading that is under way is no answer to it: another one follows.
    Joins the transaction; makes no call.
    """
    wanted = set(kinds)
    found = [model.kind for model in bulk.listed_kinds() if model.kind in wanted]
    rows = Sync.objects.using(using)
    rows.bulk_create([Sync(kind=kind) for kind in found], ignore_conflicts=True)
    # Asked for again before it has begun: the first request stands.
    waits = Q(requested_at__isnull=False) & (
        Q(started_at=None) | Q(started_at__lt=F("requested_at"))
    )
    rows.filter(pk__in=found).exclude(waits).update(requested_at=Now())
    return found


def refetch(
    model: type[StripeObject],
    rows: Iterable[StripeObject],
    *,
    using: str = DEFAULT_DB_ALIAS,
) -> set[str]:
    """Have the worker fetch rows anew for somebody who doubts them; answers the ids of those it
    will. Neither what is here nor older news that arrives late settles that. Makes no call."""
    # By our clock, which may be ahead of Stripe's: the answer must be later.
    lately = int(timezone.now().timestamp()) - CLOCKS_AGREE_WITHIN
    since: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        since[max(lately, row.as_of or 0)].append(row.pk)
    marked: set[str] = set()
    for moment, ids in sorted(since.items()):
        marked |= mirror.fetch_later(model, ids, since=moment, using=using)
    return marked


def read_requested(*, pages: int = PAGES, using: str = DEFAULT_DB_ALIAS) -> int:
    """A maintenance loop: read so many pages of what was asked for; answers how many it read.

    Makes calls. While Stripe is away, or the database, a request stands; what Stripe refuses, or
    what fails here, must be asked for again. Either way the row's ``error`` says why.
    """
    if not stripe_api.is_configured():
        return 0
    read: Counter[str] = Counter()
    for model in _requested(using):
        left = pages - read.total()
        if not left:
            break
        try:
            bulk.read(model, pages=left, told=lambda tally: read.update([tally.kind]), using=using)
        except ListBusy:
            continue
        except (StripeUnavailable, StripeRateLimited) as exc:
            logger.warning("Reading of lists stopped: %s", describe(exc))
            break
        except StripeError as exc:
            logger.error("The list of %s objects is not read: %s", model.kind, describe(exc))
            _drop(model, using=using)
        except OperationalError as exc:
            # Such as a deadlock's victim: the next round goes on from the last page.
            log_error(logger, "Reading the list of %s objects stopped", model.kind, exc=exc)
            _say(model, using=using, error="The database was away or busy; see the log.")
        except Exception as exc:
            # One kind that cannot be read must not hold up the others.
            log_error(logger, "Reading the list of %s objects failed", model.kind, exc=exc)
            _drop(model, using=using, error=f"Unexpected {type(exc).__name__}; see the log.")
    return read.total()


def _requested(using: str) -> list[type[StripeObject]]:
    rows = Sync.objects.using(using).filter(requested_at__isnull=False)
    kinds = set(rows.values_list("pk", flat=True))
    return [model for model in bulk.listed_kinds() if model.kind in kinds]


def _drop(model: type[StripeObject], *, using: str, **values: str) -> None:
    _say(model, using=using, requested_at=None, **values)


def _say(model: type[StripeObject], *, using: str, **values: str | None) -> None:
    Sync.objects.using(using).filter(pk=model.kind).update(**values)
