"""What the four sources have to agree on, and the words for where they do not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from comp_billing import money
from comp_billing.books.entries import Entry, Unrecorded
from comp_billing.books.lines import DRAFT, Line
from comp_billing.books.periods import Kind
from comp_billing.books.rows import Difference, Row
from comp_core.status import RunStatus

# Stripe drafts an invoice within the hour of a period's end; its event may come late.
INVOICED_WITHIN = timedelta(days=1)
MOST_NAMED = 10


# -- runs and records, one by one


def of_entry(entry: Entry, unit: Decimal | None, user_id: int | None) -> Iterable[Difference]:
    """What is wrong with one usage record; ``unit`` is None when its quantity is not its cost."""
    if entry.run_status != RunStatus.SUCCEEDED or entry.run_cost is None:
        yield Difference(
            code="run_not_billable",
            text=_("The run %s has not succeeded, and has a usage record.") % entry.run_id,
            advice=_("Take the usage back, or credit it: only success costs."),
            ids=(str(entry.record_id),),
        )
    elif unit is None:
        amount = f"{entry.cost} {entry.currency.upper()}"
        words = {"quantity": entry.quantity, "cost": amount, "run": entry.run_id}
        yield Difference(
            code="quantity",
            text=_("%(quantity)d units are not the cost of the run %(run)s, %(cost)s.") % words,
            advice=_("The cost shown is the run's: correct what was billed by a credit."),
            ids=(str(entry.record_id),),
        )
    if entry.item_customer_id is None or user_id is None:
        return
    if user_id != entry.payer_user_id:
        yield Difference(
            code="payer",
            text=_("The run %s is another user's to pay than the customer billed.") % entry.run_id,
            advice=_("Take the usage back, or credit it."),
            ids=(str(entry.record_id),),
        )


def of_unrecorded(run: Unrecorded) -> Difference:
    """A billable run that nobody will be billed for."""
    text = _("A billable run that cost %(cost)s has no usage record.")
    if not run.is_settled:
        text = _("A run that cost %(cost)s was never settled: it has no usage record.")
    return Difference(
        code="unrecorded",
        text=text % {"cost": f"{run.cost} {run.currency.upper()}"},
        advice=_("It was changed by hand, or its meter failed: see the run's page and the log."),
        ids=(str(run.run_id),),
    )


# -- usage and lines


def of_lines(row: Row, now: datetime) -> None:
    """Add to a row what its lines leave open, and where they differ from what was used."""
    billing = [line for line in row.period.lines if line.bills]
    row.differences += [_not_rounded(line) for line in billing if not line.is_rounded_once]
    if not billing:
        _of_no_line(row, now)
    elif any(not line.is_settled for line in billing):
        row.waiting.append(_unsettled(billing))
    else:
        _of_settled(row, billing)


def _of_no_line(row: Row, now: datetime) -> None:
    if row.period.lines:
        row.waiting.append(_("the invoice is void: this usage is not billed"))
    elif row.period.kind is Kind.TRIAL:
        row.waiting.append(_("a trial: its usage is not billed"))
    elif not row.used.accepted:
        return
    elif not row.is_overdue(now, INVOICED_WITHIN):
        row.waiting.append(_("not invoiced yet"))
    else:
        row.differences.append(
            Difference(
                code="not_invoiced",
                text=_("%d accepted units are on no line of an invoice.") % row.used.accepted,
                advice=_(
                    "Run comp_sync_stripe invoice. If there is none at Stripe either, the item or"
                    " its subscription had ended: bill by hand, or let it be."
                ),
            )
        )


def _unsettled(lines: list[Line]) -> str:
    if any(line.status == DRAFT for line in lines):
        return _("the invoice is still a draft")
    return _("the invoice is not here whole: the worker, or comp_sync_stripe invoice, fetches it")


def _of_settled(row: Row, lines: list[Line]) -> None:
    billed = sum((line.quantity for line in lines), Decimal(0))
    names = ", ".join(dict.fromkeys(line.invoice_id for line in lines))
    words = {"billed": _plain(billed), "used": row.used.accepted, "invoices": names}
    ids = tuple(line.line_id for line in lines)
    if billed < row.used.accepted:
        row.differences.append(
            Difference(
                code="line_short",
                text=_("%(invoices)s: %(billed)s units billed of %(used)d accepted.") % words,
                advice=_("Bill the rest by hand, or let it be: the customer has paid too little."),
                ids=ids,
            )
        )
    elif billed > row.used.accepted + row.spare:
        row.differences.append(
            Difference(
                code="line_excess",
                text=_("%(invoices)s: %(billed)s units billed, %(used)d accepted.") % words,
                advice=_(
                    "The customer is billed too much: credit it. Look for a second item, or price,"
                    " on the same meter, for usage that something else reports to it, and for usage"
                    " that was taken back too late."
                ),
                ids=ids,
            )
        )


def _not_rounded(line: Line) -> Difference:
    words = {
        "amount": money.format_amount(line.amount, line.currency),
        "quantity": _plain(line.quantity),
        "residue": _plain(line.residue),
        "invoice": line.invoice_id,
    }
    text = _("%(invoice)s: %(amount)s for %(quantity)s units is off by %(residue)s minor units.")
    return Difference(
        code="line_amount",
        text=text % words,
        advice=_("More than one rounding explains: compare the line's price with the plan's."),
        ids=(line.line_id,),
    )


# -- usage and Stripe's totals


def of_summary(row: Row) -> bool:
    """Add to a row what Stripe has yet to count; answers whether its total is one that our
    records allow."""
    if row.summary is None:
        return True
    own, total = row.counted, row.summary
    if not own.firm <= total <= own.accepted + own.doubtful:
        return False
    if total < own.accepted:
        left = own.accepted - total
        row.waiting.append(
            ngettext("%d unit not counted yet", "%d units not counted yet", left) % left
        )
    return True


def summary_difference(row: Row, where: str, ids: Iterable[str]) -> Difference:
    """Of a total that no state explains. ``where``: the minutes that it stems from."""
    own, total = row.counted, row.summary or 0
    words = {"total": total, "own": own.firm, "where": where}
    named = tuple(ids)[:MOST_NAMED]
    if total < own.firm:
        return Difference(
            code="uncounted",
            text=_("Stripe has counted %(total)d of %(own)d accepted units: %(where)s.") % words,
            advice=_(
                "Fetch Stripe's error reports with comp_process_events --from-stripe. What Stripe"
                " did not count is reported again from the usage record's page."
            ),
            ids=named,
        )
    words["own"] = own.accepted + own.doubtful
    return Difference(
        code="unknown_usage",
        text=_("Stripe has counted %(total)d units, %(own)d at most are ours: %(where)s.") % words,
        advice=_(
            "Something else reports to this meter, or usage that was refused or waived was counted"
            " after all: credit the customer."
        ),
        ids=named,
    )


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
