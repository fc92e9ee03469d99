"""A stand-in for Stripe: one account in test mode, in process or over HTTP."""
