"""Sign-up and usage with one mistake at a time: each must be found by the checker."""

from __future__ import annotations

from comp_billing import customers, intents, metering
from comp_billing.usage import outcomes, reporting
from tests.faults.ledger import DOUBLE, LOST, STUCK, WRONG
from tests.faults.mutants import Mutant, kinds

MUTANTS = [
    Mutant(
        "a blind resend",
        reporting.report,
        ">= IDENTIFIER_WINDOW",
        ">= IDENTIFIER_WINDOW * 1000",
        kinds(DOUBLE),
        leaning="outage",
    ),
    Mutant(
        "a random identifier",
        reporting._send,
        '"identifier": record.stripe_identifier',
        '"identifier": __import__("uuid").uuid4().hex',
        # What Stripe rejects under such a name is nobody's.
        kinds(DOUBLE, LOST),
        leaning="outage",
    ),
    Mutant(
        "no intent",
        customers.on_profile_created,
        "intend_customer(profile)",
        "__import__('django.db').db.transaction.on_commit(lambda: __import__("
        "'comp_billing.stripe_api').stripe_api.call('post', '/v1/customers',"
        " {'metadata': {'comp_user': str(profile.user_id)}}), robust=True)",
        kinds(DOUBLE, LOST),
    ),
    Mutant(
        "the price of the day of the report",
        reporting._send,
        '"value": str(record.quantity)',
        '"value": str(int(record.run.run_time * type(record.run.project).objects.get('
        "pk=record.run.project_id).server_cost * 10**6 / 3600))",
        kinds(WRONG),
        leaning="rates",
    ),
    Mutant(
        "floats",
        metering.StripeMeter.cost,
        "return get_pricing().cost(",
        "return __import__('decimal').Decimal(int(float(seconds) * float(run.server_cost or 0)"
        " / 3600 * 1e6)) / 10**6 or get_pricing().cost(",
        kinds(WRONG),
        leaning="rates",
    ),
    Mutant(
        "sent before it is written down",
        reporting.report,
        "if not claim(record, now):",
        "record.timestamp = now\n    if False:",
        kinds(DOUBLE, LOST, STUCK),
        about="usage",
    ),
    Mutant(
        "what is unclear is taken for accepted",
        outcomes.put_aside,
        "UsageState.AMBIGUOUS",
        "UsageState.ACCEPTED",
        kinds(LOST),
        leaning="outage",
    ),
    Mutant(
        "a key that is used for ever",
        intents._ask,
        "is_stale = now - (intent.first_sent_at or now) > KEY_LIFETIME",
        "is_stale = False",
        kinds(DOUBLE),
        leaning="outage",
    ),
    Mutant(
        "a key for every try",
        intents.post,
        "idempotency_key=intent.idempotency_key",
        "idempotency_key=__import__('uuid').uuid4().hex",
        kinds(DOUBLE),
        leaning="outage",
    ),
    Mutant(
        "a saved failure is not looked behind",
        intents._ask,
        "    if found := _find(kind, intent):\n        return found\n    _renew_key(intent)\n",
        "    _renew_key(intent)\n",
        kinds(DOUBLE),
        leaning="outage",
    ),
    Mutant(
        "done before what follows from it",
        intents.settle,
        "kind.settle(intent, answer.data)",
        "pass",
        kinds(LOST, STUCK, WRONG),
    ),
]
