"""Who may open what. What one may not see answers like what does not exist: 404."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404

from comp_core.declaration import ModelSpec
from comp_core.exceptions import UnknownModel
from comp_core.models import CoreInputs, Run
from comp_core.projects import project_for
from comp_core.registry import get_spec, registered
from comp_core.runs import visible_runs
from comp_users.access import is_staff
from comp_users.models import Profile, Project


def offered_models(user: Any) -> list[tuple[ModelSpec, Project]]:
    """The models that the user sees, in the catalogue's order."""
    specs = registered()
    projects = Project.objects.visible_to(user).filter(slug__in=specs)
    return [(specs[project.slug], project) for project in projects]


def offered_model(user: Any, slug: str) -> tuple[ModelSpec, Project]:
    """A model that is offered to the user. An unlisted public one opens by its address."""
    try:
        spec = get_spec(slug)
    except UnknownModel as error:
        raise Http404 from error
    project = project_for(spec)
    if project.is_public or Project.objects.visible_to(user).filter(pk=project.pk).exists():
        return spec, project
    raise Http404


def visible_run(user: Any, pk: uuid.UUID) -> Run:
    """A run that the user may look at: their own, a public one, any for staff."""
    runs = visible_runs(user).select_related("project", "owner__user", "payer__user")
    run: Run | None = runs.filter(pk=pk).first()
    if run is None:
        raise Http404
    return run


def own_run(user: Any, pk: uuid.UUID) -> Run:
    """A run that the user may change: their own, any for staff."""
    run = visible_run(user, pk)
    if not (is_staff(user) or run.owner.user_id == user.pk):
        raise Http404
    return run


def own_inputs(user: Any, spec: ModelSpec, pk: uuid.UUID) -> CoreInputs:
    """Inputs that the user may look at: their own, any for staff."""
    found = spec.inputs_model._default_manager.select_related("owner__user").filter(pk=pk).first()
    if found is None or not (is_staff(user) or found.owner.user_id == user.pk):
        raise Http404
    inputs: CoreInputs = found
    return inputs


def copyable_inputs(user: Any, spec: ModelSpec, pk: uuid.UUID | None) -> CoreInputs | None:
    """Inputs whose values the user may start from: their own, or those of a run they see."""
    if pk is None:
        return None
    found: CoreInputs | None = spec.inputs_model._default_manager.filter(pk=pk).first()
    if found is None:
        return None
    profile: Profile | None = getattr(user, "profile", None)
    run = run_of(spec, found)
    if (profile and found.owner_id == profile.pk) or (run and run.visible_to(user)):
        return found
    return None


def run_of(spec: ModelSpec, inputs: CoreInputs) -> Run | None:
    """The run of some inputs, if they have one."""
    run: Run | None = spec.run_model._base_manager.filter(inputs=inputs.pk).first()
    return run
