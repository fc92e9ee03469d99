"""How much of the site one profile may take: runs under way at a time, and runs that wait."""

from __future__ import annotations

from django.db.models.functions import Now

from comp_core.conf import conf
from comp_core.crashpoints import step
from comp_core.db import after_commit, each_value, from_now
from comp_core.models import Run
from comp_core.status import RunStatus
from comp_core.tickets import send_ticket
from comp_users.models import Profile

# Runs of one owner that one round admits; the rest follow in the next.
BATCH = 500


def running_limit(owner: Profile) -> int | None:
    """How many runs of a profile may be under way at a time; None: any number."""
    own = owner.max_running_runs
    return conf.MAX_RUNNING_RUNS_PER_PROFILE if own is None else own


def queued_limit(owner: Profile) -> int | None:
    """How many runs of a profile may wait; None: any number."""
    own = owner.max_queued_runs
    return conf.MAX_QUEUED_RUNS_PER_PROFILE if own is None else own


def admit(owner_id: int) -> int:
    """Let an owner's next held runs into the queue, as far as the limit goes; answers how many.

    Under a lock on the profile, so that two ends at once don't admit too many. A run's time to
    start begins here.
    """
    with step("admit"):
        # A stronger lock would wait for every row that is being written with this owner.
        owner = Profile.objects.select_for_update(no_key=True).get(pk=owner_id)
        held = Run.objects.filter(owner=owner, status=RunStatus.QUEUED, held=True)
        chosen = list(
            held.order_by("-priority", "start_tag", "queued_at").values_list("pk", "queue")[
                : _room(owner)
            ]
        )
        if not chosen:
            return 0
        admitted = held.filter(pk__in=[pk for pk, _ in chosen]).update(
            held=False,
            start_deadline_at=from_now(conf.QUEUE_DEADLINE_SECONDS),
            modified=Now(),
        )
        for _, queue in chosen:
            after_commit(send_ticket, queue)
    return admitted


def _room(owner: Profile) -> int:
    limit = running_limit(owner)
    if limit is None:
        return BATCH
    under_way = Run.objects.filter(owner=owner, finished_at__isnull=True, held=False).count()
    return min(max(limit - under_way, 0), BATCH)


def admit_held() -> int:
    """A loop's round: admit for every owner of held runs, should an end have failed to do so, or
    a limit have been raised; answers how many runs were admitted."""
    held = Run.objects.filter(held=True)
    return sum(admit(owner_id) for owner_id in each_value(held, "owner_id"))
