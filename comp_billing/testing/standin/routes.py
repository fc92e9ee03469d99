"""Which calls the stand-in plays: method, path, function."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import (
    accounts,
    balances,
    cards,
    catalog,
    contract,
    credit,
    customers,
    disputes,
    drafts,
    endpoints,
    events,
    grants,
    items,
    meters,
    prices,
    receipts,
    sessions,
    subscriptions,
    usage,
)
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.request import Request

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
Handler = Callable[["StandIn", Request], Json]

ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/v1/account", accounts.retrieve),
    ("POST", "/v1/products", catalog.create_product),
    ("GET", "/v1/products", catalog.list_products),
    ("GET", "/v1/products/{id}", catalog.retrieve_product),
    ("POST", "/v1/products/{id}", catalog.update_product),
    ("DELETE", "/v1/products/{id}", catalog.delete_product),
    ("POST", "/v1/prices", prices.create_price),
    ("GET", "/v1/prices", prices.list_prices),
    ("GET", "/v1/prices/{id}", prices.retrieve_price),
    ("POST", "/v1/prices/{id}", prices.update_price),
    ("POST", "/v1/plans", prices.create_plan),
    ("GET", "/v1/plans", prices.list_plans),
    ("GET", "/v1/plans/{id}", prices.retrieve_plan),
    ("POST", "/v1/plans/{id}", prices.update_plan),
    ("DELETE", "/v1/plans/{id}", prices.delete_plan),
    ("POST", "/v1/billing/meters", meters.create),
    ("GET", "/v1/billing/meters", meters.list_),
    ("GET", "/v1/billing/meters/{id}", meters.retrieve),
    ("POST", "/v1/billing/meters/{id}", meters.update),
    ("POST", "/v1/billing/meters/{id}/deactivate", meters.deactivate),
    ("POST", "/v1/billing/meters/{id}/reactivate", meters.reactivate),
    ("GET", "/v1/billing/meters/{id}/event_summaries", meters.summaries),
    ("POST", "/v1/billing/meter_events", usage.create),
    ("POST", "/v2/billing/meter_events", usage.create_v2),
    ("POST", "/v1/billing/meter_event_adjustments", usage.adjust),
    ("POST", "/v1/billing/credit_grants", grants.create),
    ("GET", "/v1/billing/credit_grants", grants.list_),
    ("GET", "/v1/billing/credit_grants/{id}", grants.retrieve),
    ("POST", "/v1/billing/credit_grants/{id}", grants.update),
    ("POST", "/v1/billing/credit_grants/{id}/expire", grants.expire),
    ("POST", "/v1/billing/credit_grants/{id}/void", grants.void),
    ("GET", "/v1/billing/credit_balance_summary", credit.summary),
    ("GET", "/v1/billing/credit_balance_transactions", credit.list_transactions),
    ("GET", "/v1/billing/credit_balance_transactions/{id}", credit.retrieve_transaction),
    ("GET", "/v1/customers/search", customers.search),
    ("POST", "/v1/customers", customers.create),
    ("GET", "/v1/customers", customers.list_),
    ("GET", "/v1/customers/{id}", customers.retrieve),
    ("POST", "/v1/customers/{id}", customers.update),
    ("DELETE", "/v1/customers/{id}", customers.delete),
    ("POST", "/v1/customers/{id}/balance_transactions", balances.create),
    ("GET", "/v1/customers/{id}/balance_transactions", balances.list_),
    ("GET", "/v1/customers/{id}/payment_methods", cards.list_),
    ("GET", "/v1/customers/{id}/payment_methods/{id}", cards.retrieve_own),
    ("POST", "/v1/payment_methods", cards.create),
    ("GET", "/v1/payment_methods", cards.list_),
    ("GET", "/v1/payment_methods/{id}", cards.retrieve),
    ("POST", "/v1/payment_methods/{id}", cards.update),
    ("POST", "/v1/payment_methods/{id}/attach", cards.attach),
    ("POST", "/v1/payment_methods/{id}/detach", cards.detach),
    ("POST", "/v1/setup_intents", cards.create_setup),
    ("GET", "/v1/setup_intents", cards.list_setups),
    ("GET", "/v1/setup_intents/{id}", cards.retrieve_setup),
    ("POST", "/v1/setup_intents/{id}/confirm", cards.confirm_setup),
    ("POST", "/v1/setup_intents/{id}/cancel", cards.cancel_setup),
    ("POST", "/v1/subscriptions", subscriptions.create),
    ("GET", "/v1/subscriptions", subscriptions.list_),
    ("GET", "/v1/subscriptions/{id}", subscriptions.retrieve),
    ("POST", "/v1/subscriptions/{id}", subscriptions.update),
    ("DELETE", "/v1/subscriptions/{id}", subscriptions.cancel),
    ("POST", "/v1/subscription_items", items.create),
    ("GET", "/v1/subscription_items", items.list_),
    ("GET", "/v1/subscription_items/{id}", items.retrieve),
    ("POST", "/v1/subscription_items/{id}", items.update),
    ("DELETE", "/v1/subscription_items/{id}", items.delete),
    ("POST", "/v1/invoices/create_preview", receipts.preview),
    ("GET", "/v1/invoices", receipts.list_invoices),
    ("GET", "/v1/invoices/{id}", receipts.retrieve_invoice),
    ("POST", "/v1/invoices/{id}", receipts.update_invoice),
    ("POST", "/v1/invoices", drafts.create),
    ("DELETE", "/v1/invoices/{id}", drafts.delete),
    ("POST", "/v1/invoiceitems", drafts.create_item),
    ("GET", "/v1/invoiceitems", drafts.list_items),
    ("GET", "/v1/invoiceitems/{id}", drafts.retrieve_item),
    ("POST", "/v1/invoices/{id}/finalize", receipts.finalize_invoice),
    ("POST", "/v1/invoices/{id}/pay", receipts.pay_invoice),
    ("POST", "/v1/invoices/{id}/void", receipts.void_invoice),
    ("POST", "/v1/invoices/{id}/mark_uncollectible", receipts.write_off_invoice),
    ("GET", "/v1/invoices/{id}/lines", receipts.list_lines),
    ("GET", "/v1/invoice_payments", receipts.list_invoice_payments),
    ("GET", "/v1/invoice_payments/{id}", receipts.retrieve_invoice_payment),
    ("GET", "/v1/payment_intents", receipts.list_intents),
    ("GET", "/v1/payment_intents/{id}", receipts.retrieve_intent),
    ("POST", "/v1/payment_intents/{id}/confirm", receipts.confirm_intent),
    ("GET", "/v1/charges", receipts.list_charges),
    ("GET", "/v1/charges/{id}", receipts.retrieve_charge),
    ("POST", "/v1/refunds", receipts.create_refund),
    ("GET", "/v1/refunds", receipts.list_refunds),
    ("GET", "/v1/refunds/{id}", receipts.retrieve_refund),
    ("GET", "/v1/disputes", disputes.list_),
    ("GET", "/v1/disputes/{id}", disputes.retrieve),
    ("POST", "/v1/disputes/{id}/close", disputes.close),
    ("GET", "/v1/events", events.list_events),
    ("GET", "/v1/events/{id}", events.retrieve_event),
    ("GET", "/v2/core/events", events.list_thin),
    ("GET", "/v2/core/events/{id}", events.retrieve_thin),
    ("POST", "/v2/core/event_destinations", endpoints.create_destination),
    ("GET", "/v2/core/event_destinations", endpoints.list_destinations),
    ("GET", "/v2/core/event_destinations/{id}", endpoints.retrieve_destination),
    ("POST", "/v2/core/event_destinations/{id}", endpoints.update_destination),
    ("DELETE", "/v2/core/event_destinations/{id}", endpoints.delete_destination),
    ("POST", "/v1/webhook_endpoints", endpoints.create),
    ("GET", "/v1/webhook_endpoints", endpoints.list_),
    ("GET", "/v1/webhook_endpoints/{id}", endpoints.retrieve),
    ("POST", "/v1/webhook_endpoints/{id}", endpoints.update),
    ("DELETE", "/v1/webhook_endpoints/{id}", endpoints.delete),
    ("POST", "/v1/checkout/sessions", sessions.create_checkout),
    ("GET", "/v1/checkout/sessions", sessions.list_checkouts),
    ("GET", "/v1/checkout/sessions/{id}", sessions.retrieve_checkout),
    ("POST", "/v1/checkout/sessions/{id}/expire", sessions.expire_checkout),
    ("POST", "/v1/billing_portal/sessions", sessions.create_portal),
    ("POST", "/v1/billing_portal/configurations", sessions.create_configuration),
    ("GET", "/v1/billing_portal/configurations", sessions.list_configurations),
    ("GET", "/v1/billing_portal/configurations/{id}", sessions.retrieve_configuration),
    ("POST", "/v1/billing_portal/configurations/{id}", sessions.update_configuration),
]

PATTERNS = [
    (verb, re.compile(path.replace("{id}", "([^/]+)") + r"\Z"), path, handler)
    for verb, path, handler in ROUTES
]


def find(asked: Request) -> tuple[Handler, str, tuple[str, ...]]:
    """The function for a request, its path's pattern and the ids in the path."""
    for verb, pattern, path, handler in PATTERNS:
        if verb == asked.verb and (match := pattern.match(asked.path)):
            return handler, path, match.groups()
    if contract.find(asked.verb, asked.path):
        text = f"The stand-in does not play {asked.verb} {asked.path}."
        raise ApiError(text, status=501, kind="api_error")
    raise ApiError(f"Unrecognized request URL ({asked.verb}: {asked.path}).", status=404)
