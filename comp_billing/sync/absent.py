"""What is here and not at Stripe: the rows that no page of a whole reading has named."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import connections

from comp_billing.exceptions import StripeMisconfigured
from comp_billing.models import StripeObject, Sync, SyncPage

# So many objects do not go all at once, unless somebody has deleted an account's test data.
MANY = 20
# What exists though no list names it, such as a price made within a subscription, is asked for
# after the first reading that misses it, and again when the last answer is so old.
ASKED_AGAIN_AFTER = timedelta(days=7)
# What was told after the reading had begun needs not be on its pages.
UNNAMED = """
SELECT stripe_id FROM {table} WHERE NOT deleted AND (as_of IS NULL OR as_of <= %s)
EXCEPT {named}
"""
# One row for each id on the pages, which are compared in the database: there may be millions.
THESE = "sync_id = %s AND number > 0"
NAMED = {
    "postgresql": "SELECT jsonb_array_elements_text(ids) FROM {pages} WHERE {these}",
    "sqlite": "SELECT value FROM {pages}, json_each(ids) WHERE {these}",
}


def unnamed(model: type[StripeObject], sync: Sync, *, using: str) -> list[str]:
    """Ids of live rows and placeholders, as old as the reading, that its pages do not name."""
    connection = connections[using]
    quote = connection.ops.quote_name
    named = NAMED[connection.vendor].format(pages=quote(SyncPage._meta.db_table), these=THESE)
    query = UNNAMED.format(table=quote(model._meta.db_table), named=named)
    with connection.cursor() as cursor:
        cursor.execute(query, [sync.as_of, sync.pk])
        return sorted(key for (key,) in cursor.fetchall())


def asked_before(sync: Sync, *, using: str) -> set[str]:
    """Ids that the last whole reading did not name either, which were asked for after it."""
    page = SyncPage.objects.using(using).filter(sync=sync, number=0).first()
    return set(page.ids) if page is not None else set()


def silent(model: type[StripeObject], ids: Collection[str], sync: Sync, *, using: str) -> set[str]:
    """Those of which Stripe has said nothing for a while: what changed may have been missed."""
    long_ago = (sync.as_of or 0) - ASKED_AGAIN_AFTER.total_seconds()
    rows = model.all_objects.using(using).filter(pk__in=ids, as_of__lt=long_ago)
    return set(rows.values_list("pk", flat=True))


def known(model: type[StripeObject], *, using: str) -> int:
    """How many objects are here, or are named here."""
    return model.all_objects.using(using).filter(deleted=False).count()


def refuse_all(sync: Sync, missing: int) -> None:
    """Raise StripeMisconfigured if a list has named none of the many objects that were here: to the
    key of another account everything looks gone, and what is gone leaves the catalogue."""
    if missing >= max(MANY, sync.known):
        raise StripeMisconfigured(
            f"Stripe lists none of the {missing} {sync.kind} objects that are here: is this the key"
            " of another account? Nothing was marked as missing. If they have been deleted indeed,"
            " use comp_sync_stripe --accept-missing."
        )
