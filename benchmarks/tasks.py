"""What the bare engine carries out: nothing."""

from __future__ import annotations

from comp_core.compat import task

BARE_QUEUE = "bare"


@task
def nothing() -> None:
    """The rival's no-op."""
