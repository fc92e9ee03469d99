"""The books: runs, usage records, Stripe's totals and invoice lines, compared.

``Reconciler`` compares customer by customer; ``comp_reconcile`` and the admin show what it finds.
"""

from comp_billing.books.entries import Span
from comp_billing.books.printed import HEADS, as_json, cells, exact_amount, table
from comp_billing.books.reconciling import Reconciler
from comp_billing.books.rows import Difference, Row

__all__ = [
    "HEADS",
    "Difference",
    "Reconciler",
    "Row",
    "Span",
    "as_json",
    "cells",
    "exact_amount",
    "table",
]
