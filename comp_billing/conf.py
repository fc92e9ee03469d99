"""Settings of comp_billing: the dict ``COMP_BILLING``, read live."""

from __future__ import annotations

from decimal import Decimal

from comp_users.settings_dict import Setting, SettingsDict


class BillingSettings(SettingsDict):
    """Keys of ``COMP_BILLING``. Without SECRET_KEY nothing is sent to Stripe."""

    name = "COMP_BILLING"

    SECRET_KEY = Setting("", "Stripe secret or restricted key; empty: a site without Stripe.")
    WEBHOOK_SECRETS = Setting[list[str]](
        [],
        "Signing secrets of the webhook endpoint; several while one is rotated.",
        types=(list, tuple),
    )
    THIN_WEBHOOK_SECRETS = Setting[list[str]](
        [],
        "Signing secrets of the destination of thin events; several while one is rotated.",
        types=(list, tuple),
    )
    API_BASE = Setting("https://api.stripe.com", "Where Stripe's API is; the stand-in's address.")
    LIVEMODE = Setting(False, "Whether this database mirrors live mode.")
    CURRENCY = Setting("usd", "ISO 4217 code of the site's one currency, lower case.")
    PRICING = Setting("comp_billing.pricing.MicroUnitPricing", "Dotted path of the pricing policy.")
    CLOCK = Setting(
        "django.utils.timezone.now",
        "Dotted path of the clock that dates usage; a test clock's or the stand-in's in tests.",
    )
    CUSTOMER_WHEN = Setting(
        "comp_billing.confirmation.Everybody",
        "Dotted path of the rule for who becomes a customer at Stripe: Everybody at sign-up,"
        " ConfirmedEmail, AfterFirstRun, or one of your own.",
    )
    SUBSCRIBE_ON = Setting(
        "sign_up",
        "When customers are subscribed to a project: sign_up (to all of them), or first_run.",
    )
    ALLOWANCE_WITHOUT_CARD: Setting[int | Decimal | None] = Setting(
        None,
        "Currency units that a customer without a payment method may use in a period, credit aside;"
        " None: no card is needed, and invoices wait for their payment.",
        types=(int, Decimal, type(None)),
        minimum=0,
    )
    METER_PREFIX = Setting("comp", "Start of the meters' event names; one per installation.")
    ITEMS_PER_SUBSCRIPTION = Setting(20, "Stripe's limit of items per subscription.")
    WEBHOOK_TOLERANCE_SECONDS = Setting(300, "Largest age, and lead, of a webhook's signature.")
    WEBHOOK_MAX_BYTES = Setting(1_048_576, "Largest webhook body that is read.")
    EVENT_MAX_ATTEMPTS = Setting(12, "How often an event's handlers are tried before it is dead.")
    REPAIR_EVENTS_SECONDS = Setting(
        3600,
        "How often the worker asks Stripe for events that it could not deliver; 0: never.",
        types=(int, float),
        minimum=0,
    )
    KEEP_EVENTS_DAYS: Setting[float | None] = Setting(
        None,
        "Days after which events that are done are removed; None: kept for ever.",
        types=(int, float, type(None)),
        minimum=31,
        maximum=36_500,
    )
    SEND_RECEIPTS = Setting(True, "Whether a paid invoice is confirmed to the user by e-mail.")
    SYNC_REQUESTS_PER_SECOND = Setting(
        20,
        "How many requests a process makes of Stripe at most while it reads objects and lists.",
        types=(int, float),
    )
    CALLS_PER_SECOND = Setting(
        20,
        "How many calls that create or change something a process makes of Stripe per second at"
        " most, usage aside.",
        types=(int, float),
        minimum=0.01,
    )
    REPORT_CONCURRENCY = Setting(
        4,
        "How many customers' usage a worker's process reports side by side.",
        minimum=1,
        maximum=64,
    )
    REPORTS_PER_SECOND = Setting(
        20,
        "How many usage records a process reports to Stripe per second at most.",
        types=(int, float),
    )
    TIMEOUT_SECONDS = Setting(30, "Longest wait for an answer of Stripe's.", types=(int, float))
    NETWORK_RETRIES = Setting(2, "How often the SDK itself repeats a request that failed.")
    AUTOMATIC_TAX = Setting(False, "Whether Stripe Tax is switched on for new subscriptions.")
    SITE_URL = Setting("", "Absolute address of the site, for links in e-mails.")


conf = BillingSettings()
