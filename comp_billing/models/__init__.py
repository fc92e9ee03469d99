"""The local mirror of Stripe, the usage outbox, and the intents behind our own calls."""

from comp_billing.models.base import StripeObject
from comp_billing.models.cap import CapWarning
from comp_billing.models.catalog import Meter, Plan, Product
from comp_billing.models.correction import Correction, CorrectionKind
from comp_billing.models.credit import CreditBalance, CreditGrant
from comp_billing.models.customer import Customer
from comp_billing.models.event import Event, EventState
from comp_billing.models.first_run import FirstRun
from comp_billing.models.intent import Intent, IntentState
from comp_billing.models.invoice import Charge, Invoice, InvoicePayment
from comp_billing.models.subscription import (
    LIVE_STATUSES,
    USABLE_STATUSES,
    Subscription,
    SubscriptionItem,
)
from comp_billing.models.sync import MirroredAccount, Sync, SyncPage
from comp_billing.models.usage import Reservation, UsageRecord, UsageState

__all__ = [
    "LIVE_STATUSES",
    "USABLE_STATUSES",
    "CapWarning",
    "Charge",
    "Correction",
    "CorrectionKind",
    "CreditBalance",
    "CreditGrant",
    "Customer",
    "Event",
    "EventState",
    "FirstRun",
    "Intent",
    "IntentState",
    "Invoice",
    "InvoicePayment",
    "Meter",
    "MirroredAccount",
    "Plan",
    "Product",
    "Reservation",
    "StripeObject",
    "Subscription",
    "SubscriptionItem",
    "Sync",
    "SyncPage",
    "UsageRecord",
    "UsageState",
]
