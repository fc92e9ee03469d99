"""A user's runs, and the page of one run."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from comp_core.exceptions import UnknownModel
from comp_core.lifecycle import cancel as cancel_run
from comp_core.lifecycle.admission import running_limit
from comp_core.metering import Receipt, cost_of, get_meter
from comp_core.models import Attempt, Run
from comp_core.outputs.store import open_output
from comp_core.parameters import parameters_of
from comp_core.presence import worker_seen_recently
from comp_core.previews import NotATable, Rows, chart_preview, download_name, table_preview
from comp_core.registry import spec_of
from comp_core.status import RunStatus
from comp_core.views.access import own_run, visible_run
from comp_users.access import is_staff
from comp_users.pages import render_page

RUNS_PER_PAGE = 50
# A page asks often while something is likely to change, and less often later.
QUICK_SECONDS = 30
QUICK_PAUSE_SECONDS = 1
SLOW_PAUSE_SECONDS = 3


@login_required
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """The user's own runs, newest first."""
    user: Any = request.user
    own = Run.objects.filter(owner__user=user).select_related("project")
    page = Paginator(own, RUNS_PER_PAGE).get_page(request.GET.get("page"))
    return render_page(request, "comp_core/runs.html", {"page": page})


@never_cache
@require_safe
def run(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One run: status and progress while it goes on, then results and receipt."""
    found = visible_run(request.user, pk)
    receipt = get_meter().receipt(found)
    context = {
        **_status_context(request, found),
        "parameters": parameters_of(found),
        "outputs": previews_of(found) if found.status == RunStatus.SUCCEEDED else [],
        "receipt": receipt,
        "receipt_is_plain": receipt is not None and _is_plain(receipt),
        "may_change": _may_change(request.user, found),
        "may_rerun": _may_rerun(found),
    }
    return render_page(request, "comp_core/run.html", context)


@never_cache
@require_safe
def run_status(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The changing part of a run's page, for htmx; as JSON for those who accept only that.

    When the run has ended, the fragment tells htmx to load the whole page.
    """
    found = visible_run(request.user, pk)
    if not request.accepts("text/html"):
        return JsonResponse(
            {
                "status": found.status,
                "progress": found.progress,
                "message": found.progress_message,
                "finished": found.is_finished,
            }
        )
    context = {**_status_context(request, found), "polled": True}
    response = render(request, "comp_core/run_status.html", context)
    if found.is_finished:
        response.headers["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Stop a run, and go back to its page."""
    return redirect(cancel_run(own_run(request.user, pk)))


def _status_context(request: HttpRequest, run: Run) -> dict[str, Any]:
    """What the changing part shows. ``step`` changes when a screen reader should speak."""
    step = f"{run.status}-{int(run.progress * 4)}"
    waiting = run.status == RunStatus.QUEUED
    age = (timezone.now() - (run.queued_at or run.created)).total_seconds()
    return {
        "run": run,
        "step": step,
        "announce": request.GET.get("step") != step,
        "pause_seconds": QUICK_PAUSE_SECONDS if age < QUICK_SECONDS else SLOW_PAUSE_SECONDS,
        "no_worker": waiting and not worker_seen_recently(run.queue),
        "running_limit": running_limit(run.owner) if run.held else None,
        "interrupted": _interrupted(request.user, run),
        "may_change": _may_change(request.user, run),
    }


def _interrupted(user: Any, run: Run) -> list[Attempt]:
    """The earlier attempts of a run that was started more than once, for its owner and staff."""
    first = run.attempt < (1 if run.status == RunStatus.QUEUED else 2)
    return [] if first or not _may_change(user, run) else list(run.attempts.all())


def _may_change(user: Any, run: Run) -> bool:
    return bool(is_staff(user) or run.owner.user_id == user.pk)


def _is_plain(receipt: Receipt) -> bool:
    """Whether the cost is just time by rate; other pricing policies have rules of their own."""
    plain = cost_of(seconds=receipt.seconds, server_cost=receipt.server_cost)
    return bool(receipt.server_cost) and plain == receipt.cost


def _may_rerun(run: Run) -> bool:
    try:
        return bool(spec_of(run))
    except UnknownModel:
        return False


def previews_of(run: Run) -> list[dict[str, Any]]:
    """Each output's entry in the manifest, with the rows to show and the name to save it under."""
    return [
        {**entry, "rows": _preview(run, entry), "download_name": download_name(entry)}
        for entry in run.outputs
    ]


def _preview(run: Run, entry: dict[str, Any]) -> Rows | None:
    """The first rows of a table or of a chart's data; None for files and for what is gone."""
    if entry["kind"] == "file":
        return None
    try:
        _, file = open_output(run, entry["id"])
        with file:
            if entry["kind"] == "table":
                return table_preview(file)
            return chart_preview(file, size=entry["size"])
    except (FileNotFoundError, NotATable, ValueError):
        return None
