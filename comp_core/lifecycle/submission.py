"""From checked inputs to a queued run with its terms frozen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext as _

from comp_core import __version__
from comp_core.conf import conf
from comp_core.crashpoints import step
from comp_core.db import after_commit, patient
from comp_core.declaration import ModelSpec
from comp_core.exceptions import InputsNotValid, RunRefused
from comp_core.lifecycle.admission import admit, queued_limit, running_limit
from comp_core.metering import get_meter
from comp_core.models import CoreInputs, Run
from comp_core.registry import spec_of
from comp_core.status import InputsStatus, RunStatus
from comp_core.tickets import send_ticket
from comp_users.models import Profile, Project

SUBMIT_PATIENCE_SECONDS = 3
# Between two of one owner's waiting runs there is a place for a newcomer's.
OWN_STEP = 2
KEY_TAKEN = "This idempotency key belongs to a run of another model: use a new key for each wish."


def submit(
    inputs: CoreInputs,
    *,
    title: str = "",
    is_public: bool | None = None,
    idempotency_key: str | None = None,
    parent: Run | None = None,
) -> Run:
    """Queue a run of these inputs and freeze its terms: rate, payer, versions, deadlines.

    Submitting again, with the same key or the same inputs, answers the run that exists. Raises
    InputsNotValid, or RunRefused with the reason for the user. The ticket leaves on commit.
    """
    spec = spec_of(inputs)
    wish: dict[str, Any] = {
        "title": title,
        "is_public": is_public,
        "idempotency_key": idempotency_key or None,
        "parent": parent,
    }
    if transaction.get_connection().in_atomic_block:
        return _submit_once(spec, inputs, wish)
    # The database may choose us to break a deadlock; submitting again answers the same run.
    return patient(SUBMIT_PATIENCE_SECONDS)(_submit_once)(spec, inputs, wish)


def _submit_once(spec: ModelSpec, inputs: CoreInputs, wish: dict[str, Any]) -> Run:
    try:
        with step("submit"):
            run = _submit(spec, inputs, wish)
    except (IntegrityError, RunRefused) as error:
        # Somebody else submitted the same at the same moment and was first, perhaps with the last
        # place there was.
        existing = _existing(spec, inputs, wish["idempotency_key"])
        if existing is not None:
            return existing
        if _key_is_taken(inputs, wish["idempotency_key"]):
            raise RunRefused(KEY_TAKEN) from None
        if isinstance(error, RunRefused) and error.run is not None:
            get_meter().refused(error.run)
        raise
    return run


def _submit(spec: ModelSpec, inputs: CoreInputs, wish: dict[str, Any]) -> Run:
    # No run stores an empty key, so without a key this finds nothing.
    key = wish["idempotency_key"] or ""
    # A double click waits here for the first click, yet sees what was there before it: the limit
    # or the database then refuses its run, and it is answered with the first's.
    locked = (
        spec.inputs_model._default_manager.select_for_update(of=("self",))
        .select_related("owner__user")
        .annotate(
            run_with_key=Subquery(
                Run.objects.filter(owner=inputs.owner_id, idempotency_key=key).values("pk")[:1]
            ),
            run_of_inputs=Subquery(
                spec.run_model._base_manager.filter(inputs=inputs.pk).values("pk")[:1]
            ),
        )
        .get(pk=inputs.pk)
    )
    existing = locked.run_with_key or locked.run_of_inputs
    if existing is not None:
        run: Run | None = spec.run_model._base_manager.filter(pk=existing).first()
        if run is None:
            raise RunRefused(KEY_TAKEN)
        return run
    if locked.status != InputsStatus.VALID:
        raise InputsNotValid
    run = _new_run(spec, locked, wish)
    run.save(force_insert=True)
    _authorize(run)
    if run.held:
        after_commit(admit, run.owner_id)
    else:
        after_commit(send_ticket, run.queue)
    return run


def _authorize(run: Run) -> None:
    try:
        get_meter().authorize(run)
    except RunRefused as refusal:
        refusal.run = run
        raise


def _existing(spec: ModelSpec, inputs: CoreInputs, key: str | None) -> Run | None:
    same = Q(inputs=inputs.pk) | Q(owner=inputs.owner_id, idempotency_key=key or "")
    run: Run | None = spec.run_model._base_manager.filter(same).first()
    return run


def _key_is_taken(inputs: CoreInputs, key: str | None) -> bool:
    return Run.objects.filter(owner=inputs.owner_id, idempotency_key=key or "").exists()


def _new_run(spec: ModelSpec, inputs: Any, wish: dict[str, Any]) -> Run:
    owner = inputs.owner
    if not _lock_profiles(spec, owner_id=owner.pk)[owner.pk]:
        # Closed since the inputs were read.
        raise RunRefused("Your account may not run this model.")
    project = _project(spec, owner_id=owner.pk)
    if not owner.may_run(project):
        raise RunRefused("Your account may not run this model.")
    _refuse_too_many(owner, project)
    wish["is_public"] = owner.runs_public if wish["is_public"] is None else wish["is_public"]
    run: Run = spec.run_model(
        inputs=inputs,
        owner=owner,
        # The owner is at hand with their user, whom a meter would otherwise fetch again.
        **({"payer_id": project.sponsor_id} if project.sponsor_id else {"payer": owner}),
        project=project,
        queue=spec.queue,
        priority=spec.priority,
        max_attempts=conf.MAX_ATTEMPTS,
        timeout_seconds=spec.deadline_seconds,
        queued_at=project.db_now,
        start_deadline_at=project.db_now + timedelta(seconds=conf.QUEUE_DEADLINE_SECONDS),
        start_tag=_start_tag(project),
        # Whether there is room is told under a lock of its own, once this run is committed.
        held=running_limit(owner) is not None,
        server_cost=project.server_cost,
        currency=get_meter().currency,
        upstream_version=project.upstream_version,
        comp_version=__version__,
        **wish,
    )
    return run


def _lock_profiles(spec: ModelSpec, *, owner_id: int) -> dict[int, bool]:
    """Whoever owns and whoever pays: one submit at a time for each, so that what is counted next
    is still true when this run joins it. Answers who of them is active, as it stands now.

    In one order for everybody, since one's owner is another's payer. The weaker lock lets rows
    that point at these profiles be written meanwhile.
    """
    sponsor = Project.objects.filter(slug=spec.slug).values("sponsor")
    both = Profile.objects.filter(Q(pk=owner_id) | Q(pk__in=sponsor)).order_by("pk")
    return dict(both.select_for_update(no_key=True).values_list("pk", "is_active"))


def _refuse_too_many(owner: Profile, project: Any) -> None:
    """Bounds what one profile may heap up."""
    limit = queued_limit(owner)
    if limit is not None and project.own_queued >= limit:
        raise RunRefused(
            _(
                "%(waiting)d of your runs are waiting, and no more than %(limit)d may:"
                " wait until some have started, or cancel some."
            )
            % {"waiting": project.own_queued, "limit": limit}
        )


def _project(spec: ModelSpec, *, owner_id: int) -> Any:
    """The project with the moment by the database's clock and the state of the fair share."""
    under_way = Run.objects.filter(finished_at__isnull=True).order_by()
    of_owner = under_way.filter(owner=owner_id)
    # Whatever runs has a lease. Said so, because it leads to the index of leases, which holds as
    # many rows as there are busy workers; by the status alone SQLite reads all that wait.
    leased = Run.objects.filter(status=RunStatus.RUNNING, lease_expires_at__isnull=False)
    same = {"queue": spec.queue, "priority": spec.priority}
    annotated = Project.objects.annotate(
        db_now=Now(),
        own_queued=_scalar(of_owner.filter(status=RunStatus.QUEUED), Count("pk")),
        own_last=_first(of_owner.filter(**same).order_by("-start_tag")),
        queue_head=_first(
            under_way.filter(status=RunStatus.QUEUED, held=False, **same).order_by("start_tag")
        ),
        served=_first(leased.filter(**same).order_by("-start_tag")),
    )
    try:
        return annotated.get(slug=spec.slug)
    except Project.DoesNotExist:
        text = f"The model {spec.title} is not set up on this site yet."
        raise RunRefused(text) from None


def _first(runs: Any) -> Subquery:
    """The first of these runs' tags: read off the end of an index, however many there are."""
    return Subquery(runs.values("start_tag")[:1])


def _scalar(runs: Any, aggregate: Any) -> Any:
    """An aggregate over all of these runs as a scalar subquery; 0 over none."""
    group = runs.annotate(everything=F("owner")).values("everything")
    return Coalesce(Subquery(group.annotate(found=aggregate).values("found")), 0)


def _start_tag(project: Any) -> int:
    """Start-time fair queueing: the place that each waiting run takes among those of its priority.

    Each owner's runs stand two steps apart. A newcomer's first stands one step behind the run
    that was started last, and so before whatever its owner has waiting: ten thousand runs of one
    delay another's first by the rest of the run that a worker is at. Because each start moves
    that place on, a stream of newcomers cannot pass a waiting run for ever.
    """
    now = project.queue_head if project.served is None else project.served + 1
    own_next = 0 if project.own_last is None else project.own_last + OWN_STEP
    return max(now or 0, own_next)
