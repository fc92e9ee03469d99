"""Invoice and charge: linked through payments, in whichever order the three arrive."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Q

from comp_billing.models import Charge, Invoice, InvoicePayment

MEND_BATCH = 500


def lock_invoices(ids: Iterable[str], *, using: str) -> None:
    """Take the invoices' locks before their payments', as the writers of invoices do."""
    wanted = sorted(ids)
    if wanted:
        invoices = Invoice.all_objects.using(using).filter(pk__in=wanted).order_by("pk")
        list(invoices.select_for_update().values_list("pk"))


def link(*, invoice_ids: Iterable[str], payment_intents: Iterable[str], using: str) -> int:
    """Set the charge of the invoices whose payments or charges have just been written."""
    ids, intents = set(invoice_ids), sorted(payment_intents)
    payments = InvoicePayment.all_objects.using(using)
    if intents:
        found = payments.filter(payment_intent__in=intents, invoice__isnull=False)
        ids.update(found.values_list("invoice_id", flat=True))
    if not ids:
        return 0
    linked = 0
    for invoice_id, charge_id in _best_charges(ids, using=using).items():
        invoices = Invoice.all_objects.using(using).filter(pk=invoice_id)
        linked += invoices.exclude(charge__isnull=False, charge=charge_id).update(charge=charge_id)
    return linked


def mend_links(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Link what two simultaneous transactions, blind to each other, have left apart."""
    charged = Charge.objects.using(using).exclude(payment_intent="").values("payment_intent")
    left = InvoicePayment.objects.using(using).filter(
        invoice__charge=None, payment_intent__in=charged
    )
    ids = left.values_list("invoice_id", flat=True)[:MEND_BATCH]
    with transaction.atomic(using=using):
        return link(invoice_ids=list(ids), payment_intents=[], using=using)


def _best_charges(invoice_ids: Iterable[str], *, using: str) -> dict[str, str]:
    """{invoice: charge}: a charge that succeeded, of the default payment, the latest of several.

    One charge, one invoice: a payment spread over several invoices stays with the first.
    """
    payments = InvoicePayment.all_objects.using(using).filter(invoice__in=invoice_ids)
    paid = [payment for payment in payments if payment.payment_intent or payment.charge_id]
    if not paid:
        return {}
    wanted = Q(payment_intent__in={p.payment_intent for p in paid} - {""})
    wanted |= Q(pk__in={p.charge_id for p in paid} - {None})
    charges = list(Charge.all_objects.using(using).filter(wanted).select_related("invoice"))
    holders = {c.pk: c.invoice.pk for c in charges if getattr(c, "invoice", None)}
    best: dict[str, str] = {}
    for invoice_id in sorted({str(payment.invoice_id) for payment in paid}):
        candidates = [
            (charge.status == "succeeded", payment.is_default, charge.as_of or 0, charge.pk)
            for payment in paid
            for charge in charges
            if payment.invoice_id == invoice_id and _pays(payment, charge)
            if holders.get(charge.pk, invoice_id) == invoice_id
        ]
        if candidates:
            best[invoice_id] = max(candidates)[-1]
            holders[best[invoice_id]] = invoice_id
    return best


def _pays(payment: InvoicePayment, charge: Charge) -> bool:
    if payment.charge_id == charge.pk:
        return True
    return bool(payment.payment_intent) and payment.payment_intent == charge.payment_intent
