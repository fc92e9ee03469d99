"""Invoice and charge: linked through payments, in whichever order the three arrive.

A charge belongs to one invoice; of a payment spread over several, to the one with the lowest id.
An invoice's charge is one that succeeded, of the default payment, the latest of several.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from comp_billing.models import Charge, Invoice, InvoicePayment

MEND_BATCH = 500
PAYS = (
    "({p}.charge_id = c.stripe_id"
    " OR ({p}.payment_intent <> '' AND {p}.payment_intent = c.payment_intent))"
)
# The invoices concerned: {where}. What is held by another invoice is left to the mending.
LINK = """
UPDATE {invoice} SET charge_id = best.charge_id FROM (
 SELECT p.invoice_id, c.stripe_id AS charge_id, row_number() OVER (PARTITION BY p.invoice_id
   ORDER BY (c.status = 'succeeded') DESC, p.is_default DESC, c.created DESC, c.stripe_id DESC
  ) AS place
 FROM {payment} p JOIN {charge} c ON {pays}
 WHERE {where} AND NOT EXISTS (
  SELECT 1 FROM {payment} q WHERE {pays_too} AND q.invoice_id < p.invoice_id)
) best
WHERE {invoice}.stripe_id = best.invoice_id AND best.place = 1
 AND ({invoice}.charge_id IS NULL OR {invoice}.charge_id <> best.charge_id)
 AND NOT EXISTS (SELECT 1 FROM {invoice} h WHERE h.charge_id = best.charge_id)
"""
# A charge that a payment of an invoice with a lower id names too.
RELEASE = """
UPDATE {invoice} SET charge_id = NULL WHERE charge_id IS NOT NULL AND EXISTS (
 SELECT 1 FROM {charge} c JOIN {payment} q ON {pays_too}
 WHERE c.stripe_id = {invoice}.charge_id AND q.invoice_id < {invoice}.stripe_id)
"""
UNLINKED = """
SELECT p.invoice_id FROM {payment} p JOIN {invoice} i ON i.stripe_id = p.invoice_id
 JOIN {charge} c ON {pays} WHERE i.charge_id IS NULL AND NOT EXISTS (
  SELECT 1 FROM {payment} q WHERE {pays_too} AND q.invoice_id < p.invoice_id) LIMIT {batch}
"""


def link(
    *,
    invoice_ids: Iterable[str],
    payment_intents: Iterable[str],
    charge_ids: Iterable[str] = (),
    using: str,
) -> int:
    """Set the charge of the invoices whose payments or charges have just been written, with one
    statement; answers how many were changed."""
    tests: list[str] = []
    params: list[str] = []
    for column, values in (
        ("p.invoice_id", sorted(invoice_ids)),
        ("p.payment_intent", sorted(payment_intents)),
        ("p.charge_id", sorted(charge_ids)),
    ):
        if values:
            tests.append(f"{column} IN ({', '.join(['%s'] * len(values))})")
            params += values
    if not tests:
        return 0
    with connections[using].cursor() as cursor:
        cursor.execute(_sql(LINK, using, where=f"({' OR '.join(tests)})"), params)
        return int(cursor.rowcount)


def mend_links(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Link what simultaneous transactions, blind to each other, have left apart, and what arrived
    after another invoice had taken its charge."""
    with transaction.atomic(using=using):
        released = _execute(RELEASE, using)
        with connections[using].cursor() as cursor:
            cursor.execute(_sql(UNLINKED, using, batch=str(MEND_BATCH)))
            ids = [invoice_id for (invoice_id,) in cursor.fetchall()]
        return released + link(invoice_ids=ids, payment_intents=[], using=using)


def _execute(template: str, using: str, params: Sequence[Any] = ()) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute(_sql(template, using), params)
        return int(cursor.rowcount)


@cache
def _sql(template: str, using: str, **parts: str) -> str:
    quote = connections[using].ops.quote_name
    tables = {
        "invoice": quote(Invoice._meta.db_table),
        "payment": quote(InvoicePayment._meta.db_table),
        "charge": quote(Charge._meta.db_table),
    }
    pays = {"pays": PAYS.format(p="p"), "pays_too": PAYS.format(p="q")}
    return template.format(**tables, **pays, **parts)
