"""Which of two versions said in the same second is the later one."""

from __future__ import annotations

import enum


class Rank(enum.IntEnum):
    """Stripe dates events in whole seconds; within one, the higher rank is the later news."""

    # A page of a list, or the answer to a call of ours: stamped with the response's Date.
    LIST = 0
    # An event of type *.created.
    CREATED = 1
    # Any other event.
    EVENT = 2
    # An event of type *.deleted, or about an object in its last state: nothing follows it.
    DELETED = 3
