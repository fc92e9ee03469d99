"""What a payer may spend: the cap of a month, and what may be used without a means of payment.

The worst case of every run under way is held, under a lock on the payer: so any number of submits
at the same moment stay within both, to the last unit.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from comp_billing import money
from comp_billing.conf import conf
from comp_billing.entitlements import Entitlement
from comp_billing.limits import cap_warnings, credit
from comp_billing.limits.spending import Spending, current_spending, spending
from comp_billing.models import Reservation, SubscriptionItem
from comp_billing.paying.cards import has_payment_method
from comp_core.db import after_commit
from comp_core.exceptions import RunRefused
from comp_core.models import Run
from comp_users.models import Profile


def hold(run: Run, worst_case: Decimal, entitled: Entitlement) -> None:
    """Hold a run's worst case against its payer's limits, or raise RunRefused with the reason.

    Joins the transaction of submit. Locks out the payer's other submits until ours is committed;
    a stronger lock would deadlock with the one that the run's foreign key already holds.
    """
    payer = Profile.objects.select_for_update(no_key=True).get(pk=run.payer_id)
    if not payer.is_active:
        # Closed since the run was put together.
        raise RunRefused(_("The account that would pay for this run is not active."))
    allowance = _allowance(entitled)
    if payer.spending_cap is not None or allowance is not None:
        now = spending(payer, entitled.item)
        _stay_within_cap(run, payer, worst_case, now, entitled.item)
        _stay_within_allowance(run, payer, worst_case, now, allowance)
    # By id: the run at hand may be a subclass's instance.
    Reservation.objects.create(
        run_id=run.pk, payer=payer, amount=worst_case, subscription_item=entitled.item
    )


def note_spending(run: Run, item: SubscriptionItem) -> None:
    """Let the payer know how near the cap a run has brought them. No query without a cap.

    Once in the transaction that settles the run, so that nothing is forgotten, and once more after
    it: of runs that end at the same moment none sees the others before.
    """
    if run.payer.spending_cap is None:
        return
    _note(run.payer, item)
    after_commit(_note, run.payer, item)


def _note(payer: Profile, item: SubscriptionItem) -> None:
    now = spending(payer, item)
    cap_warnings.note(payer.pk, now.since, now.spent, now.cap)


def note_refused(payer: Profile, expected: Decimal) -> None:
    """Let the payer know when what is left of the cap has no room for the refused run as it was
    expected to be, and a whole cap would have: runs that are refused never bring the spending to
    the cap. A sponsor hears of it in no other way. No query without a cap."""
    cap = payer.spending_cap
    if cap is None or expected > cap or not payer.is_active:
        return
    now = current_spending(payer)
    if now.spent + expected > cap:
        cap_warnings.note_no_room(payer.pk, now.since, now.spent, cap)


def _allowance(entitled: Entitlement) -> Decimal | None:
    """What may be used in a period without a means of payment; None: no limit, or there is one."""
    allowed = conf.ALLOWANCE_WITHOUT_CARD
    if allowed is None or has_payment_method(entitled.customer):
        return None
    return Decimal(allowed)


def _stay_within_cap(
    run: Run, payer: Profile, worst_case: Decimal, now: Spending, item: SubscriptionItem
) -> None:
    if payer.spending_cap is None or now.total + worst_case <= payer.spending_cap:
        return
    if run.payer_id != run.owner_id:
        # The sponsor's figures are the sponsor's business.
        raise RunRefused(
            _("The sponsor of this project has reached the spending cap for this month.")
        )
    amounts = {
        "worst": worst_case,
        "cap": payer.spending_cap,
        "spent": now.spent,
        "held": now.held,
    }
    words = {name: in_words(amount, run.currency) for name, amount in amounts.items()}
    raise RunRefused(_over_cap(words, item))


def _over_cap(words: dict[str, str], item: SubscriptionItem) -> str:
    text = _(
        "This run could cost up to %(worst)s and might pass your spending cap of %(cap)s:"
        " %(spent)s are spent and %(held)s are held for runs under way. Raise the cap, or wait"
        " until running models have finished"
    )
    if item.current_period_end is None:
        return text % words + "."
    end = date_format(item.current_period_end, "DATE_FORMAT")
    return text % words + _(" or the next period starts on %(end)s.") % {"end": end}


def _stay_within_allowance(
    run: Run, payer: Profile, worst_case: Decimal, now: Spending, allowance: Decimal | None
) -> None:
    """Credit that was granted is a means of payment as far as it goes."""
    if allowance is None or now.total + worst_case <= allowance:
        return
    granted = allowance + credit.available(payer)
    if now.total + worst_case <= granted:
        return
    if run.payer_id != run.owner_id:
        raise RunRefused(_("The sponsor of this project has no means of payment at the moment."))
    left = in_words(max(granted - now.total, Decimal(0)), run.currency)
    words = {"worst": in_words(worst_case, run.currency), "left": left}
    raise RunRefused(
        _(
            "This run could cost up to %(worst)s, and %(left)s are left that may be used without a"
            " payment card. Add a card under Card, then submit again."
        )
        % words
    )


def in_words(amount: Decimal, currency: str) -> str:
    """Rounded up to the minor unit, so that what is said adds up to what was refused."""
    minor = money.to_minor(amount, currency).to_integral_value(ROUND_CEILING)
    return money.format_amount(minor, currency)
