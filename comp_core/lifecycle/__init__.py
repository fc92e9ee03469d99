"""The verbs on runs: the only writers of ``Run.status``.

Every transition is one UPDATE on ``Run.objects`` that names the state it leaves; leases and
deadlines are told by the database's clock. Legal moves stand in ``comp_core.status``.
"""

from comp_core.lifecycle.admission import admit_held
from comp_core.lifecycle.ending import Outcome, cancel, finish, mark_lost
from comp_core.lifecycle.leasing import Heartbeat, claim, heartbeat, release, requeue
from comp_core.lifecycle.reaping import abort_overdue, reap
from comp_core.lifecycle.submission import submit

__all__ = [
    "Heartbeat",
    "Outcome",
    "abort_overdue",
    "admit_held",
    "cancel",
    "claim",
    "finish",
    "heartbeat",
    "mark_lost",
    "reap",
    "release",
    "requeue",
    "submit",
]
