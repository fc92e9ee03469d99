"""Who a visitor is to the site, whatever user model the host has."""

from __future__ import annotations


def is_staff(user: object) -> bool:
    """Whether a user works for the site. A host's own user model may know no staff."""
    return bool(getattr(user, "is_staff", False))
