"""Stripe's objects and events as its API gives them today, made up from numbers alone.

Needs the standard library only: the rival's environment reads it too. The same number is always
the same object, so that an event, the answer to a call and a list tell the same.
"""
