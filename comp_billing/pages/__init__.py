"""Pages on a user's money: costs, invoices, card. They read our own rows; only the preview of the
next invoice, and the buttons that lead to Stripe's pages, make a call."""

from comp_billing.pages.card_page import card, portal
from comp_billing.pages.costs_page import costs
from comp_billing.pages.invoices_page import invoices, upcoming

__all__ = ["card", "costs", "invoices", "portal", "upcoming"]
