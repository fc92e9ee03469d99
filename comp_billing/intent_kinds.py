"""The kinds of intents: how each is carried out. A module registers its own when it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from comp_billing.exceptions import StripeRefused
from comp_billing.models import Intent
from comp_billing.stripe_api import Answer


def _nothing(intent: Intent, data: dict[str, Any]) -> None:
    pass


def _nowhere(intent: Intent) -> Answer | None:
    return None


def _accept_refusal(intent: Intent, error: StripeRefused) -> None:
    pass


def _always(intent: Intent) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind of intent is carried out. Register it in ``KINDS``.

    ``send`` makes the call; ``find`` looks at Stripe for what an earlier attempt has made; the
    answer of either is mirrored, and ``settle`` writes what follows from it, in the transaction
    that marks the intent done. ``refused`` is the like for a refusal. With ``look_first``,
    ``find`` precedes every attempt, so that what exists is adopted. While it is not ``ready``, by
    what is known here, an intent waits without being sent. What is not ``in_background`` is left
    to the command that asked for it: only it can use the answer. Parameters that are ``personal``
    are kept until then and no longer.
    """

    send: Callable[[Intent], Answer]
    find: Callable[[Intent], Answer | None] = _nowhere
    settle: Callable[[Intent, dict[str, Any]], None] = _nothing
    refused: Callable[[Intent, StripeRefused], None] = _accept_refusal
    ready: Callable[[Intent], bool] = _always
    look_first: bool = False
    in_background: bool = True
    personal: tuple[str, ...] = ()

    @property
    def may_wait(self) -> bool:
        """Whether an intent of this kind may rightly be left unsent for long."""
        return self.ready is not _always


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one attempt went. ``answer`` is Stripe's, when it did what was asked."""

    is_settled: bool
    answer: Answer | None = None


KINDS: dict[str, Kind] = {}


def tagged(intent: Intent) -> dict[str, Any]:
    """The intent's parameters with its mark in the metadata, by which ``find`` knows its work."""
    metadata = {**intent.params.get("metadata", {}), "comp_intent": str(intent.idempotency_base)}
    return {**intent.params, "metadata": metadata}


def is_made_by(intent: Intent, data: dict[str, Any]) -> bool:
    """Whether a Stripe object carries the intent's mark."""
    mark = (data.get("metadata") or {}).get("comp_intent")
    return bool(mark == str(intent.idempotency_base))
