"""The verbs on runs: the only writers of ``Run.status``.

Every transition is one UPDATE on ``Run.objects`` that names the state it leaves; leases and
deadlines are told by the database's clock. Legal moves stand in ``comp_core.status``.
"""

from comp_core.lifecycle.ending import Outcome, abort_overdue, cancel, finish, reap
from comp_core.lifecycle.leasing import Heartbeat, claim, heartbeat, release
from comp_core.lifecycle.submission import submit

__all__ = [
    "Heartbeat",
    "Outcome",
    "abort_overdue",
    "cancel",
    "claim",
    "finish",
    "heartbeat",
    "reap",
    "release",
    "submit",
]
