"""From saved inputs to their run: being checked, found wrong, refused, or on the way."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from comp_core.conf import conf
from comp_core.declaration import ModelSpec
from comp_core.exceptions import CompError
from comp_core.forms import ParametersForm, RunForm, parameters_form
from comp_core.inputs import copy_inputs
from comp_core.lifecycle import submit
from comp_core.models import CoreInputs, Run
from comp_core.presence import worker_seen_recently
from comp_core.status import InputsStatus
from comp_core.views.access import offered_model, own_inputs, run_of
from comp_core.views.catalogue import Draft, kept_files, quote_for
from comp_users.models import Project
from comp_users.pages import render_page


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def inputs(request: HttpRequest, slug: str, pk: uuid.UUID) -> HttpResponseBase:
    """Where these inputs stand. POST by their owner submits them again after a refusal."""
    spec, project = offered_model(request.user, slug)
    found = own_inputs(request.user, spec, pk)
    run = run_of(spec, found) or _run_with_key(found)
    refusal = " ".join(_messages(found).get(NON_FIELD_ERRORS, []))
    if run is None and request.method == "POST" and found.owner.user_id == request.user.pk:
        run, refusal = _try_again(found)
    if run is not None:
        return redirect(run)
    if found.status == InputsStatus.INVALID:
        return _show_invalid(request, spec, project, found)
    context = {"spec": spec, "project": project, "inputs": found, "refusal": refusal}
    if found.status == InputsStatus.PENDING:
        context["worker_seen"] = worker_seen_recently(conf.CHECK_QUEUE)
    return render_page(request, "comp_core/inputs.html", context)


def _run_with_key(inputs: CoreInputs) -> Run | None:
    """The run of the first of two clicks, when these inputs came with the second."""
    key = (inputs.run_request or {}).get("idempotency_key")
    return Run.objects.filter(owner=inputs.owner_id, idempotency_key=key).first() if key else None


def _try_again(inputs: CoreInputs) -> tuple[Run | None, str]:
    """The submitted run, or why it was refused."""
    wish: dict[str, Any] = dict(inputs.run_request or {})
    parent = wish.pop("parent", None)
    try:
        run = submit(inputs, parent=Run.objects.filter(pk=parent).first(), **wish)
    except CompError as refusal:
        return None, str(refusal)
    return run, ""


def _messages(inputs: CoreInputs) -> dict[str, list[str]]:
    return dict(inputs.errors_warnings.get("errors", {}))


def _show_invalid(
    request: HttpRequest, spec: ModelSpec, project: Project, inputs: CoreInputs
) -> HttpResponse:
    """The form as it was sent, with what the model says about each field."""
    wish = inputs.run_request or {}
    initial = {
        "run_title": wish.get("title", ""),
        "run_public": bool(wish.get("is_public")),
        "inputs_source": inputs.pk,
    }
    draft = Draft(_judged(spec, inputs), RunForm(initial=initial), inputs, kept_files(inputs))
    context = {
        "spec": spec,
        "project": project,
        "draft": draft,
        "quote": quote_for(spec, project, inputs.owner),
    }
    return render_page(request, "comp_core/model.html", context)


def _judged(spec: ModelSpec, inputs: CoreInputs) -> ParametersForm:
    """A form bound to the inputs' own values, with the model's messages as its errors."""
    form_class = parameters_form(spec.inputs_model)
    empty = form_class(instance=copy_inputs(inputs, owner=inputs.owner))
    values = {empty.add_prefix(name): empty[name].value() for name in empty.fields}
    form = form_class(values, instance=copy_inputs(inputs, owner=inputs.owner))
    for name, messages in _messages(inputs).items():
        if name in form.fields:
            form.add_error(name, messages)
        else:
            whole = name == NON_FIELD_ERRORS
            form.add_error(None, messages if whole else [f"{name}: {m}" for m in messages])
    return form
