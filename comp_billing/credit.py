"""What a payer has before using anything: credit grants, and what is left of them.

Grants are mirrored like every other object. What is left of them Stripe tells in a summary of its
own, which the worker asks for whenever news says that it may have changed.
"""

from __future__ import annotations

from decimal import Decimal

from comp_billing import money
from comp_billing.conf import conf
from comp_billing.models import CreditBalance
from comp_users.models import Profile


def available(payer: Profile) -> Decimal:
    """What is left of the payer's credit by Stripe's last word, in units of the site's currency.

    Stripe takes it only when an invoice is finalised: usage that is on none yet has still to be
    paid from it. One query.
    """
    left = CreditBalance.objects.filter(
        customer__user=payer.user_id, customer__deleted=False, currency=conf.CURRENCY
    ).values_list("available", flat=True)
    return money.from_minor(left.first() or 0, conf.CURRENCY)
