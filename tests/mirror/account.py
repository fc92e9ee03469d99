"""An account at Stripe: a stand-in in which nothing is left to chance."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from comp_billing.testing import StandIn
from tests.billing.standin_rig import in_process

Json = dict[str, Any]
State = tuple[bytes, int]
Fits = Callable[[Json], bool]
START = 1_800_000_000


class NothingThere(LookupError):
    """There is no object of the kind."""


class Account:
    """A stand-in whose clock moves only when it is told to, and the SDK's client on it."""

    def __init__(self, standin: StandIn, *, state: State | None = None) -> None:
        self.world = standin
        self.v1: Any = in_process(standin).v1
        self.made = 0
        standin.clock.stop(at=START)
        if state is not None:
            content, self.made = state
            standin.store.db.deserialize(content)

    def state(self) -> State:
        """All there is in it, for another account to begin with."""
        return self.world.store.db.serialize(), self.made

    def live(self, kind: str, **equal: Any) -> list[Json]:
        """Objects that exist, oldest first."""
        return [obj for obj in self.world.store.where(kind, **equal) if not obj.get("deleted")]

    def one(self, kind: str, n: int, *, fits: Fits | None = None, **equal: Any) -> Json:
        """One of those that fit; NothingThere."""
        found = [obj for obj in self.live(kind, **equal) if fits is None or fits(obj)]
        if not found:
            raise NothingThere(kind)
        return found[n % len(found)]

    def id(self, kind: str, n: int, *, fits: Fits | None = None, **equal: Any) -> str:
        """The id of one of those that fit; NothingThere."""
        return str(self.one(kind, n, fits=fits, **equal)["id"])

    def name(self) -> str:
        """A name that nothing has yet."""
        self.made += 1
        return f"thing-{self.made}"


def letters(seed: int) -> Callable[[int], str]:
    """For ids that are the same whenever a history is played again, and in no order."""
    source = random.Random(seed)
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return lambda length: "".join(source.choices(alphabet, k=length))
