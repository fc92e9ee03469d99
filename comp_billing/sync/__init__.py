"""Asking Stripe: what is in doubt, whole lists, and events that never arrived.

Everything that is read here ends in ``comp_billing.mirror.upsert`` or ``comp_billing.webhooks``,
as what Stripe sends does.
"""
