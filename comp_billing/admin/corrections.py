"""Corrections of usage in the admin: actions that ask for a reason, and the lines of audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from comp_billing.admin import verbs
from comp_billing.admin.columns import link
from comp_billing.admin.large import LargeTableAdmin
from comp_billing.exceptions import CannotCorrect
from comp_billing.models import Correction, UsageRecord
from comp_billing.usage import corrections
from comp_core.admin.base import moment
from comp_core.models import Run

MOST_TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One way to correct usage, and what the operator is told before it is done."""

    name: Promise
    meaning: Promise
    correct: Callable[..., Any]


VERBS = {
    "take_back": Verb(
        name=gettext_lazy("Take the selected usage back"),
        meaning=gettext_lazy(
            "Stripe forgets it, and it is on no invoice. This works for a day after it was sent."
        ),
        correct=corrections.take_back,
    ),
    "credit": Verb(
        name=gettext_lazy("Credit the selected usage"),
        meaning=gettext_lazy(
            "What the runs cost is credited to the balances of their customers, from which their"
            " next invoices are paid; the runs of one customer together, rounded once."
        ),
        correct=corrections.credit,
    ),
    "report_again": Verb(
        name=gettext_lazy("Report the selected usage again"),
        meaning=gettext_lazy(
            "It is sent once more. Be sure that Stripe has not counted it: of unclear usage that"
            " Stripe has after all, the user would pay twice."
        ),
        correct=corrections.report_again,
    ),
    "mark_counted": Verb(
        name=gettext_lazy("Mark the selected usage as counted"),
        meaning=gettext_lazy("You have found it among Stripe's usage. Nothing is sent."),
        correct=corrections.mark_counted,
    ),
    "waive": Verb(
        name=gettext_lazy("Waive the selected usage"),
        meaning=gettext_lazy("It is not billed, and no longer reported as trouble."),
        correct=corrections.waive,
    ),
}


def as_action(name: str) -> Callable[..., HttpResponse | None]:
    """The admin's action for a verb: asks for the reason, then corrects each record."""
    verb = VERBS[name]

    def act(
        shown: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]
    ) -> HttpResponse | None:
        instead = _("The command comp_correct_usage takes any number.")
        found = verbs.chosen(shown, request, rows, instead=instead)
        if found is None:
            return None
        records = list(
            UsageRecord.objects.select_related("run").filter(pk__in=[r.pk for r in found])
        )
        reason = request.POST.get("reason", "").strip()
        if not reason:
            return _ask(shown, request, name, records)
        _carry_out(shown, request, verb, records, reason)
        return None

    act.__name__ = name
    decorated: Callable[..., HttpResponse | None] = admin.action(
        act, description=cast("str", verb.name), permissions=["correct"]
    )
    return decorated


def _ask(
    shown: ModelAdmin[Any], request: HttpRequest, name: str, records: list[UsageRecord]
) -> HttpResponse:
    context = {
        **shown.admin_site.each_context(request),
        "title": VERBS[name].name,
        "opts": shown.opts,
        "verb": VERBS[name],
        "action": name,
        "records": records,
        "is_missing": "reason" in request.POST,
        "media": shown.media,
    }
    return TemplateResponse(request, "comp_billing/admin/correct.html", context)


def _carry_out(
    shown: ModelAdmin[Any],
    request: HttpRequest,
    verb: Verb,
    records: list[UsageRecord],
    reason: str,
) -> None:
    corrected, left = _corrected(verb, records, reason, request.user)
    verbs.record(request, corrected, f"{verb.name}: {reason}")
    text = ngettext("%d usage record corrected.", "%d usage records corrected.", len(corrected))
    if corrected:
        shown.message_user(request, text % len(corrected), messages.SUCCESS)
    for words in left[:MOST_TOLD]:
        shown.message_user(request, words, messages.ERROR)
    if len(left) > MOST_TOLD:
        text = _("%d more were left alone.") % (len(left) - MOST_TOLD)
        shown.message_user(request, text, messages.ERROR)


def _corrected(
    verb: Verb, records: list[UsageRecord], reason: str, actor: Any
) -> tuple[list[UsageRecord], list[str]]:
    """What was corrected, and why the others were not. Credits are given together or not at all."""
    if verb.correct is corrections.credit:
        try:
            corrections.credit(records, reason=reason, actor=actor)
        except CannotCorrect as exc:
            return [], [str(exc)]
        return records, []
    done, left = [], []
    for record in records:
        try:
            verb.correct(record, reason=reason, actor=actor)
        except CannotCorrect as exc:
            left.append(_("Usage record %(id)s: %(why)s") % {"id": record.pk, "why": exc})
        else:
            done.append(record)
    return done, left


@admin.register(Correction)
class CorrectionAdmin(LargeTableAdmin):
    """Who has corrected which usage, and why."""

    list_display = [
        "kind",
        "of_run",
        "amount",
        "actor",
        "reason",
        moment("created", gettext_lazy("created")),
        moment("refused_at", gettext_lazy("refused by Stripe")),
    ]
    list_filter = ["kind"]
    list_select_related = ["actor", "record"]
    ordering = ["-pk"]
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = ["record__stripe_customer_id__exact"]
    search_help_text = gettext_lazy("The id of a customer")

    @admin.display(description=gettext_lazy("run"))
    def of_run(self, correction: Correction) -> str:
        key = correction.record.run_id
        return link(Run, key, str(key)[:8])
