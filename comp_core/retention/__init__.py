"""How long what is not a fact is kept: the settings, and the loop that applies them."""

from __future__ import annotations

import logging

from comp_core.conf import conf
from comp_core.retention.inputs import prune_inputs
from comp_core.retention.outputs import prune_logs, prune_outputs

logger = logging.getLogger("comp_core")

PRUNE = {"outputs": prune_outputs, "inputs": prune_inputs, "logs": prune_logs}


def kept_days() -> dict[str, float | None]:
    """For each key of ``PRUNE`` how many days the settings say; None: for ever."""
    return {
        "outputs": conf.KEEP_OUTPUTS_DAYS,
        "inputs": conf.KEEP_UNRUN_INPUTS_DAYS,
        "logs": conf.KEEP_LOGS_DAYS,
    }


def apply_retention() -> int:
    """A loop's round: remove what has been kept for long enough; answers how many runs and inputs
    it is done with."""
    done = sum(PRUNE[name](days).rows for name, days in kept_days().items() if days is not None)
    if done:
        logger.info("Retention is done with %d runs and inputs.", done)
    return done
