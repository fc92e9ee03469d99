"""What workers execute when they take a ticket."""

from __future__ import annotations

from django.apps import apps

from comp_core.compat import task, task_backends
from comp_core.conf import conf
from comp_core.db import patient
from comp_core.inputs import carry_out_check
from comp_core.lifecycle import claim
from comp_core.process_state import stopping, worker_id
from comp_core.runner import execute
from comp_core.tickets import send_successor, was_taken_at_once

CLAIM_PATIENCE_SECONDS = 30


@task
def execute_next(queue: str, mended_at: str = "") -> str:
    """Claim the fairest queued run of a queue and execute it; answers its id, "" without one."""
    if stopping.asked:
        return ""
    run = patient(CLAIM_PATIENCE_SECONDS)(claim)(queue, worker_id=worker_id())
    if run is None:
        return ""
    # The run is ours by now: a database that is away for a moment must not cost it an attempt.
    at_once = bool(mended_at) and patient(CLAIM_PATIENCE_SECONDS)(was_taken_at_once)(run, mended_at)
    execute(run)
    if at_once:
        send_successor(run)
    return str(run.pk)


@task
def check_inputs(label: str, pk: str) -> str:
    """Let the model check inputs (``app.Model`` and primary key); answers their new status."""
    inputs = apps.get_model(label)._default_manager.select_related("owner").get(pk=pk)
    return carry_out_check(inputs)


def _load_backend() -> None:
    """A backend that registers with workers of another kind is loaded with what they execute."""
    task_backends[conf.TASK_BACKEND]


_load_backend()
