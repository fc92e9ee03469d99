"""The page of one run in the admin: what an operator needs to know, read-only."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import display
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from comp_core.admin.base import moment
from comp_core.operating import meaning
from comp_core.parameters import parameters_of
from comp_core.printed import plain
from comp_core.templatetags.comp_runs import money, seconds, status_badge


@display(description=_("status"))
def state(run: Any) -> str:
    """The status, and what it means."""
    return format_html("<strong>{}</strong><br>{}", status_badge(run), meaning(run))


@display(description=_("attempts"))
def attempts(run: Any) -> str:
    """The interrupted ones, then the current or last one, which stands on the run itself."""
    interrupted = list(run.attempts.all())
    context = {
        "run": run,
        "attempts": interrupted,
        # A run that was given up has its last attempt among the interrupted ones.
        "own": run.started_at and run.attempt not in {each.number for each in interrupted},
    }
    return render_to_string("comp_core/admin/attempts.html", context)


@display(description=_("started how often"))
def tries(run: Any) -> str:
    text = _("%(attempt)d of at most %(most)d times")
    return str(text % {"attempt": run.attempt, "most": run.max_attempts})


@display(description=_("time limit"))
def limit(run: Any) -> str:
    return seconds(run.timeout_seconds)


@display(description=_("inputs"))
def inputs(run: Any) -> str:
    return render_to_string("comp_core/admin/inputs.html", {"parameters": parameters_of(run)})


@display(description=_("what was reported"))
def message(run: Any) -> str:
    return _printed(run.error_message)


@display(description=_("traceback"))
def traceback(run: Any) -> str:
    return _printed(run.traceback)


@display(description=_("what the model printed"))
def printed(run: Any) -> str:
    return _printed(run.stdout_tail)


def _printed(text: str) -> str:
    return format_html('<pre class="comp-printed">{}</pre>', plain(text)) if text else "-"


@display(description=_("outputs"))
def outputs(run: Any) -> str:
    return render_to_string("comp_core/admin/outputs.html", {"run": run})


@display(description=_("run time"))
def duration(run: Any) -> str:
    return seconds(run.run_time)


@display(description=_("cost"))
def cost(run: Any) -> str:
    return money(run.run_cost, run.currency)


@display(description=_("rate per hour"))
def rate(run: Any) -> str:
    return money(run.server_cost, run.currency)


IDENTITY = ("id", "title", "project", "owner", "payer", "parent", "is_public")
MOMENTS = (
    moment("created", _("submitted")),
    moment("queued_at", _("queued")),
    moment("started_at", _("started")),
    moment("finished_at", _("finished")),
    moment("start_deadline_at", _("to be started before")),
    moment("lease_expires_at", _("its worker's until")),
    moment("cancel_requested_at", _("cancelling asked for")),
)
PLACE = ("queue", "priority", "start_tag", "held", "worker_id", tries, limit, "idempotency_key")
VERSIONS = ("upstream_version", "comp_version", "peak_memory_bytes")
# Columns by name, what is worked out by function.
FIELDSETS: Any = [
    (None, {"fields": [state, *IDENTITY]}),
    (_("Timeline"), {"fields": [*MOMENTS, attempts]}),
    (_("Place and limits"), {"fields": [*PLACE]}),
    (_("Inputs"), {"fields": [inputs]}),
    (_("Words"), {"fields": ["error_type", message, traceback, printed]}),
    (_("Results"), {"fields": [outputs, duration, cost, rate, *VERSIONS]}),
]
COMPUTED: Any = [
    *MOMENTS,
    *(state, attempts, tries, limit, inputs, message, traceback, printed),
    *(outputs, duration, cost, rate),
]
