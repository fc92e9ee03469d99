"""What a run will cost, line by line: who pays, what credit takes off, what is free."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from django.utils.translation import gettext as _

from comp_billing import stripe_api
from comp_billing.limits import caps, credit
from comp_billing.limits.spending import Spending, current_spending
from comp_core.metering import Quote, QuoteLine
from comp_core.models import Run

ZERO = Decimal(0)


def complete(quote: Quote, run: Run) -> Quote:
    """The plain quote with what billing knows. At most three queries, and none for a visitor or
    where nothing is billed; no call to Stripe."""
    if not run.server_cost:
        return quote
    if not stripe_api.is_configured():
        return _free(quote, _("This site does not bill: nobody pays."))
    if not run.project.is_public:
        return _free(quote, _("Runs of a project that is not public are not billed."))
    if run.payer_id is None:
        return quote
    if run.payer_id != run.owner_id:
        return _free(quote, _("The sponsor of this project pays."))
    return _with_credit(quote, run)


def _free(quote: Quote, why: str) -> Quote:
    line = QuoteLine(text=why, amount=-quote.expected)
    return replace(quote, lines=(*quote.lines, line), free=why, to_pay=ZERO)


def _with_credit(quote: Quote, run: Run) -> Quote:
    """What is left of the payer's credit once everything used so far has been paid from it."""
    payer = run.payer
    granted = credit.available(payer)
    if not granted and payer.spending_cap is None:
        return quote
    now = current_spending(payer)
    lines, to_pay = quote.lines, quote.expected
    left = max(granted - now.total, ZERO)
    taken = min(left, quote.expected)
    if taken:
        text = _("Paid from your credit, of which %(left)s are left")
        words = text % {"left": caps.in_words(left, quote.currency)}
        lines, to_pay = (*lines, QuoteLine(text=words, amount=-taken)), quote.expected - taken
    free = _("Your credit covers it.") if taken and not to_pay else ""
    return _within_cap(replace(quote, lines=lines, free=free, to_pay=to_pay), now)


def _within_cap(quote: Quote, now: Spending) -> Quote:
    if now.cap is None or now.left is None:
        return quote
    words = {
        "left": caps.in_words(now.left, quote.currency),
        "cap": caps.in_words(now.cap, quote.currency),
    }
    text = _("Of your spending cap of %(cap)s, %(left)s are left.") % words
    line, refusal = QuoteLine(text=text), ""
    if quote.worst_case > now.left:
        refusal = _("The run could pass your spending cap, and would be refused.")
    return replace(quote, lines=(*quote.lines, line), refusal=refusal)
