"""The error tree of comp_billing: each docstring is the message and names the way out.

Whatever Stripe's SDK raises is translated into one of these in ``comp_billing.stripe_api``; no
message ever holds a key.
"""

from __future__ import annotations

from comp_core.exceptions import CompError


class BillingError(CompError):
    """The billing request could not be carried out."""


class CalledInTransaction(BillingError):
    """Stripe was called while a database transaction was open: commit an intent instead."""


class CalledInWebRequest(BillingError):
    """Stripe was called while a page was being served: commit an intent instead."""


class NotConfigured(BillingError):
    """This site has no Stripe key: set COMP_BILLING["SECRET_KEY"]."""


class NoBillingAccount(BillingError):
    """Your billing account is being set up. Please try again in a minute."""


class NotReady(BillingError):
    """An intent's call cannot be made yet, by what has just become known here."""


class CannotCorrect(BillingError):
    """The usage cannot be corrected in this way."""


class NoPortal(BillingError):
    """Stripe's page for managing payment has not been set up for this site yet. Add a card here."""


class ListBusy(BillingError):
    """Another process reads this list of Stripe's, or died within two minutes: do it later."""


class StripeError(BillingError):
    """Stripe did not do what was asked."""


class StripeUnavailable(StripeError):
    """Stripe could not be reached or failed; whether it acted is unknown. Try again later.

    ``replayed`` says that Stripe repeated an answer saved under the idempotency key, so that only
    another key can get any further.
    """

    def __init__(self, message: str = "", *, replayed: bool = False) -> None:
        super().__init__(message or "Stripe could not be reached or failed.")
        self.replayed = replayed


class StripeRateLimited(StripeError):
    """Stripe asks us to slow down; nothing was carried out. ``retry_after`` is in seconds."""

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message or "Stripe asks us to slow down; nothing was carried out.")
        self.retry_after = retry_after


class StripeMisconfigured(StripeError):
    """Stripe does not accept the key, or not for this: correct COMP_BILLING["SECRET_KEY"]."""


class StripeForbidden(StripeMisconfigured):
    """Stripe does not allow this key to do this: give the restricted key the permission."""


class OtherAccount(StripeMisconfigured):
    """The key is of another Stripe account than the one that is mirrored here: correct it."""


class StripeRefused(StripeError):
    """Stripe understood and said no; repeating the request does not help.

    ``code`` is Stripe's, e.g. ``"resource_missing"``; ``""`` when it gave none. ``date`` is when
    it said so: Unix seconds of Stripe's clock.
    """

    def __init__(self, message: str, *, code: str = "", param: str = "", date: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.date = date


class KeyReused(StripeRefused):
    """An idempotency key came back with other parameters: look first, then use another key."""
