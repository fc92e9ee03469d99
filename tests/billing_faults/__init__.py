"""The fault checker of sign-up and usage: crash points, a Stripe that fails, days that pass."""
