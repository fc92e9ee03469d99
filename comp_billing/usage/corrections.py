"""What an operator may do about usage that was billed wrongly, or that is not billed.

Each verb writes a line of audit (``Correction``: who, what, why) in the transaction that makes the
change. Calls to Stripe are intents, which the worker carries out.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from comp_billing import clock, intents, money, stripe_api
from comp_billing.exceptions import CannotCorrect, StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import (
    Correction,
    CorrectionKind,
    Intent,
    Reservation,
    UsageRecord,
    UsageState,
)
from comp_billing.stripe_api import Answer
from comp_billing.usage.doubt import is_missing
from comp_billing.usage.limits import CANCEL_WINDOW, OPEN
from comp_billing.usage.stamps import is_open

CANCEL = "usage.cancel"
CREDIT = "usage.credit"
# What Stripe has rejected was surely not counted; it may be reported under another identifier.
RESENDABLE = (UsageState.REJECTED, UsageState.AMBIGUOUS)


def take_back(record: UsageRecord, *, reason: str, actor: Any = None) -> Correction:
    """Have Stripe forget an accepted meter event: it is on no invoice. Within 24 hours of its
    arrival; afterwards ``credit`` it. Raises CannotCorrect."""
    _not_before(record)
    sent_at = record.first_sent_at
    if record.state != UsageState.ACCEPTED or sent_at is None:
        raise CannotCorrect(_("Only usage that Stripe has accepted can be taken back."))
    if clock.now() - sent_at > CANCEL_WINDOW:
        raise CannotCorrect(_("Stripe takes usage back for a day only: credit it instead."))
    if not _is_open(record):
        raise CannotCorrect(_("Its period has ended, so an invoice has it: credit it instead."))
    params = {"event_name": record.event_name, "identifier": record.stripe_identifier}
    with transaction.atomic():
        made = _write(record, CorrectionKind.CANCEL, reason, actor, amount=record.run.run_cost)
        intent = intents.intend(CANCEL, f"{CANCEL}:{record.pk}:{made.pk}", params)
        return _carried_out_by(intent, made)


def credit(records: Iterable[UsageRecord], *, reason: str, actor: Any = None) -> list[Correction]:
    """Credit what runs have cost to their customers' balances, from which the next invoices are
    paid: one entry for each customer, rounded once, to the nearest minor unit.

    Raises CannotCorrect, and nothing is written then.
    """
    by_customer: dict[tuple[str, str], list[UsageRecord]] = {}
    for record in records:
        if record.state != UsageState.ACCEPTED:
            text = _("Only usage that Stripe has accepted can be credited.")
            raise CannotCorrect(f"{record.pk}: {text}")
        _not_before(record)
        key = (record.stripe_customer_id, record.run.currency)
        by_customer.setdefault(key, []).append(record)
    with transaction.atomic():
        return [
            correction
            for (customer, currency), of_customer in by_customer.items()
            for correction in _credit(customer, currency, of_customer, reason, actor)
        ]


def _credit(
    customer: str, currency: str, records: list[UsageRecord], reason: str, actor: Any
) -> list[Correction]:
    amounts = {record.pk: record.run.run_cost or Decimal(0) for record in records}
    minor = money.to_minor(sum(amounts.values(), Decimal(0)), currency)
    rounded = int(minor.to_integral_value(ROUND_HALF_UP))
    if not rounded:
        raise CannotCorrect(
            _("That is less than the smallest amount of the currency: choose more runs at once.")
        )
    made = [
        _write(record, CorrectionKind.CREDIT, reason, actor, amount=amounts[record.pk])
        for record in records
    ]
    params = {"customer": customer, "amount": -rounded, "currency": currency}
    params["description"] = _("Credit for runs")
    intent = intents.intend(CREDIT, f"{CREDIT}:{made[0].pk}", params)
    return [_carried_out_by(intent, one) for one in made]


def report_again(record: UsageRecord, *, reason: str, actor: Any = None) -> Correction:
    """Report usage once more that Stripe has not counted: that it rejected once the cause is
    removed, or that is unclear, by the operator's own knowledge. Raises CannotCorrect.

    What was rejected has another identifier (the former one would be answered as a duplicate), and
    a time of use of its own. What is unclear keeps both, so it cannot be reported once its period
    has ended: it would be on no invoice.
    """
    if record.state not in RESENDABLE:
        raise CannotCorrect(_("Only rejected or unclear usage can be reported again."))
    was_rejected = record.state == UsageState.REJECTED
    if not (was_rejected or _is_open(record)):
        raise CannotCorrect(_("Its period has ended: reported now, it would be on no invoice."))
    values = {
        "timestamp": None if was_rejected else record.timestamp,
        "state": UsageState.PENDING,
        "generation": record.generation + was_rejected,
        "first_sent_at": None,
        "accepted_at": None,
        "alarmed_at": None,
        "next_attempt_at": timezone.now(),
    }
    return _settle(record, CorrectionKind.RESEND, reason, actor, values)


def mark_counted(record: UsageRecord, *, reason: str, actor: Any = None) -> Correction:
    """The operator has found unclear usage among Stripe's, before or after it was waived. Raises
    CannotCorrect."""
    if record.state not in (UsageState.AMBIGUOUS, UsageState.WAIVED) or not record.first_sent_at:
        raise CannotCorrect(_("Only usage that is unclear can be marked as counted."))
    values = {"state": UsageState.ACCEPTED, "accepted_at": timezone.now(), "next_attempt_at": None}
    with transaction.atomic():
        made = _settle(record, CorrectionKind.COUNTED, reason, actor, values)
        held = Reservation.objects.filter(run=record.run_id)
        held.update(settled_amount=record.run.run_cost, modified=timezone.now())
        return made


def waive(record: UsageRecord, *, reason: str, actor: Any = None) -> Correction:
    """Give up usage that Stripe has not counted: the run costs its user nothing after all.
    Raises CannotCorrect."""
    if record.state not in OPEN:
        raise CannotCorrect(_("Only usage that Stripe has not counted can be waived."))
    values = {"state": UsageState.WAIVED, "next_attempt_at": None}
    with transaction.atomic():
        made = _settle(record, CorrectionKind.WAIVE, reason, actor, values)
        _count_as_nothing(UsageRecord.objects.filter(pk=record.pk))
        return made


def _count_as_nothing(records: QuerySet[UsageRecord]) -> None:
    """What is not billed does not count towards its payer's limits any more."""
    runs = list(records.values_list("run", flat=True))
    Reservation.objects.filter(run__in=runs).update(settled_amount=0, modified=timezone.now())


def _not_before(record: UsageRecord) -> None:
    given = Correction.objects.filter(
        record=record, kind__in=(CorrectionKind.CANCEL, CorrectionKind.CREDIT), refused_at=None
    )
    if given.exists():
        text = _("It has been taken back or credited before.")
        raise CannotCorrect(f"{record.pk}: {text}")


def _is_open(record: UsageRecord) -> bool:
    """Whether what is told of it now still reaches the invoice that is not made yet."""
    told = record.timestamp
    return told is not None and is_open(record.subscription_item, told, clock.now())


def _settle(
    record: UsageRecord, kind: CorrectionKind, reason: str, actor: Any, values: dict[str, Any]
) -> Correction:
    with transaction.atomic():
        same = UsageRecord.objects.filter(
            pk=record.pk, state=record.state, generation=record.generation
        )
        if not same.update(modified=timezone.now(), **values):
            raise CannotCorrect(_("Somebody else has just changed it: look again."))
        return _write(record, kind, reason, actor)


def _write(
    record: UsageRecord,
    kind: CorrectionKind,
    reason: str,
    actor: Any,
    *,
    amount: Decimal | None = None,
) -> Correction:
    if not reason.strip():
        raise CannotCorrect(_("Say why: the reason is kept with the correction."))
    try:
        with transaction.atomic():
            made: Correction = Correction.objects.create(
                record=record, kind=kind, reason=reason.strip(), actor=actor, amount=amount or 0
            )
    except IntegrityError as exc:
        raise CannotCorrect(_("It has been taken back or credited before.")) from exc
    return made


def _carried_out_by(intent: Intent, correction: Correction) -> Correction:
    correction.intent = intent
    correction.save(update_fields=["intent", "modified"])
    return correction


def _cancel(intent: Intent) -> Answer:
    params = {
        "event_name": intent.params["event_name"],
        "type": "cancel",
        "cancel": {"identifier": intent.params["identifier"]},
    }
    record = _record_of(intent)
    if not _is_open(record):
        if intent.attempts > 1 and is_missing(record):
            return _done(intent)
        raise StripeRefused("Its period has ended, so an invoice has it: credit it instead.")
    try:
        answer = intents.post("/v1/billing/meter_event_adjustments", intent, params)
    except StripeRefused as exc:
        # An earlier call, whose answer was lost, has taken it back: there is nothing left to take.
        if exc.code == "resource_missing" and intent.attempts > 1:
            return _done(intent)
        raise
    # An adjustment has no id of its own.
    answer.data.setdefault("id", intent.params["identifier"])
    return answer


def _done(intent: Intent) -> Answer:
    date = int(clock.now().timestamp())
    data = {"id": intent.params["identifier"]}
    return Answer(data=data, date=date, request_id="", replayed=False)


def _find_cancelled(intent: Intent) -> Answer | None:
    """An adjustment cannot be read back; that the usage is missing from Stripe's total can."""
    return _done(intent) if is_missing(_record_of(intent)) else None


def _record_of(intent: Intent) -> UsageRecord:
    records = UsageRecord.objects.select_related("subscription_item__subscription")
    return records.get(corrections__intent=intent)


def _cancelled(intent: Intent, data: dict[str, Any]) -> None:
    """Also what was cancelled by an earlier attempt, whose answer was lost."""
    records = UsageRecord.objects.filter(
        corrections__intent=intent, state=UsageState.ACCEPTED
    ).values_list("pk", flat=True)
    cancelled = UsageRecord.objects.filter(pk__in=list(records))
    _count_as_nothing(cancelled)
    cancelled.update(state=UsageState.CANCELLED, modified=timezone.now())


def _add_to_balance(intent: Intent) -> Answer:
    customer = intent.params["customer"]
    params = {name: intent.params[name] for name in ("amount", "currency", "description")}
    params["metadata"] = {"comp_intent": str(intent.idempotency_base)}
    path = stripe_api.object_path("customers", customer, "balance_transactions")
    return intents.post(path, intent, params)


def _find_credit(intent: Intent) -> Answer | None:
    path = stripe_api.object_path("customers", intent.params["customer"], "balance_transactions")
    return stripe_api.find(path, {}, lambda data: intents.is_made_by(intent, data))


def _refused(intent: Intent, error: StripeRefused) -> None:
    """Nothing was given back: another correction may follow."""
    Correction.objects.filter(intent=intent).update(refused_at=timezone.now())


intents.KINDS |= {
    CANCEL: Kind(send=_cancel, find=_find_cancelled, settle=_cancelled, refused=_refused),
    CREDIT: Kind(send=_add_to_balance, find=_find_credit, refused=_refused),
}
