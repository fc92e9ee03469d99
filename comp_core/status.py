"""The states of a run and of its inputs, and the one table of legal moves."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RunStatus(models.TextChoices):
    """Where a run stands. Only ``SUCCEEDED`` is ever charged."""

    # Accepted, terms frozen, waiting for a worker.
    QUEUED = "queued", _("Queued")
    # Leased to one worker, which holds the token and sends heartbeats.
    RUNNING = "running", _("Running")
    # The model returned; its outputs are stored and the cost is final.
    SUCCEEDED = "succeeded", _("Succeeded")
    # The model raised, crashed, or broke a limit other than time.
    FAILED = "failed", _("Failed")
    # The user or an operator stopped it, before or after it started.
    CANCELLED = "cancelled", _("Cancelled")
    # It ran longer than its deadline allowed.
    TIMED_OUT = "timed_out", _("Timed out")
    # Its deadline for starting passed while it was still queued.
    ABORTED = "aborted", _("Aborted")
    # Its workers vanished as often as its attempts allow.
    LOST = "lost", _("Lost")


class InputsStatus(models.TextChoices):
    """Where inputs stand. Only ``VALID`` inputs may be submitted."""

    # Saved, waiting for the model's own check.
    PENDING = "pending", _("Pending")
    # The model accepts them.
    VALID = "valid", _("Valid")
    # The model refuses them; errors_warnings says why.
    INVALID = "invalid", _("Invalid")


# Every legal move. ``running -> queued`` belongs to the reaper, to a worker that has to stop, and
# to operators.
LEGAL_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.ABORTED}),
    RunStatus.RUNNING: frozenset(
        {
            RunStatus.SUCCEEDED,
            RunStatus.FAILED,
            RunStatus.CANCELLED,
            RunStatus.TIMED_OUT,
            RunStatus.LOST,
            RunStatus.QUEUED,
        }
    ),
}


def sources_of(status: RunStatus) -> list[RunStatus]:
    """The states that a run may leave for this one; every guarded UPDATE names them."""
    return [source for source, targets in LEGAL_MOVES.items() if status in targets]


TERMINAL = frozenset(set(RunStatus) - set(LEGAL_MOVES))
