"""The example site: three small models, sign-up, and billing through Stripe or its stand-in."""
