"""The list of models, and each model's page with its parameter form."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_safe

from comp_core.conf import conf
from comp_core.declaration import ModelSpec
from comp_core.forms import (
    ParametersForm,
    RunForm,
    file_names,
    parameters_form,
    same_parameters,
)
from comp_core.inputs import copy_inputs, save_inputs
from comp_core.metering import Quote, get_meter
from comp_core.models import CoreInputs, Run
from comp_core.uploads import CappedUploads, cap_uploads
from comp_core.views.access import copyable_inputs, offered_model, offered_models, run_of
from comp_users.models import Profile, Project
from comp_users.pages import render_page

# What an anonymous visitor typed is kept up to this length, in characters.
MAX_TYPED = 20_000


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Every model that this user is offered, with its price."""
    offers = [
        {"spec": spec, "project": project, "quote": quote_for(spec, project)}
        for spec, project in offered_models(request.user)
    ]
    return render_page(request, "comp_core/models.html", {"offers": offers})


def quote_for(spec: ModelSpec, project: Project, profile: Profile | None = None) -> Quote:
    """What a run would cost under today's terms."""
    meter = get_meter()
    run = Run(
        project=project,
        server_cost=project.server_cost,
        currency=meter.currency,
        timeout_seconds=spec.deadline_seconds,
    )
    if profile is not None:
        run.owner, run.payer = profile, project.sponsor or profile
    return meter.quote(run)


@dataclass
class Draft:
    """The two forms of a model's page, filled or empty, and where their values came from."""

    parameters: ParametersForm
    run: RunForm
    source: CoreInputs | None = None
    kept_files: dict[str, str] = field(default_factory=dict)


# The body must not be read before the cap on uploads stands, and Django's check of the token reads
# it: so the check is made inside, by the method that does the work.
@method_decorator(csrf_exempt, name="dispatch")
class ModelView(View):
    """A model's page: what it does, what it costs, its form."""

    http_method_names = ["get", "head", "post"]
    uploads: CappedUploads | None = None

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.spec, self.project = offered_model(request.user, kwargs["slug"])
        self.profile: Profile | None = getattr(request.user, "profile", None)

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return self.show(self.draft(request))

    def post(self, request: HttpRequest, slug: str) -> HttpResponseBase:
        self.uploads = cap_uploads(
            request, names=file_names(self.spec.inputs_model), max_bytes=conf.MAX_UPLOAD_BYTES
        )
        return self.accept(request)

    @method_decorator(csrf_protect)
    def accept(self, request: HttpRequest) -> HttpResponseBase:
        """Save what was asked for and go to its page; or show the form with what is wrong."""
        draft = self.draft(request)
        if self.profile is None:
            return self.keep_for_login(draft)
        draft.parameters.refuse_large(self.uploads.too_large if self.uploads else ())
        if not (draft.parameters.is_valid() and draft.run.is_valid()):
            return self.show(draft)
        try:
            inputs = self.save(draft, self.profile)
        except ValidationError as error:
            draft.parameters.add_error(None, error)
            return self.show(draft)
        return redirect("comp_core:inputs", slug=self.spec.slug, pk=inputs.pk)

    def draft(self, request: HttpRequest) -> Draft:
        """The forms for this request: posted, copied from earlier inputs, kept, or empty."""
        form_class = parameters_form(self.spec.inputs_model)
        if request.method == "POST":
            run_form = RunForm(request.POST)
            run_form.is_valid()
            source = self.source(run_form.cleaned_data.get("inputs_source"))
            instance = self.instance(source)
            parameters = form_class(request.POST, request.FILES, instance=instance)
            return Draft(parameters, run_form, source, kept_files(source))
        source = self.source_of_run(request.GET.get("from"))
        typed = request.session.pop(self.session_key, {}) if self.profile else {}
        parameters = form_class(instance=self.instance(source), initial=typed)
        return Draft(parameters, self.run_form(source), source, kept_files(source))

    def run_form(self, source: CoreInputs | None) -> RunForm:
        public = self.profile.runs_public if self.profile else False
        initial = {"run_public": public, "inputs_source": source.pk if source else None}
        return RunForm(initial=initial)

    def source_of_run(self, run_id: str | None) -> CoreInputs | None:
        """The inputs of the run (or the inputs) that ``?from=`` names, when the user sees them."""
        try:
            pk = uuid.UUID(run_id or "")
        except ValueError:
            return None
        run = self.spec.run_model._base_manager.filter(pk=pk).first()
        return self.source(run.inputs_id if run else pk)

    def source(self, pk: uuid.UUID | None) -> CoreInputs | None:
        return copyable_inputs(self.request.user, self.spec, pk)

    def instance(self, source: CoreInputs | None) -> CoreInputs:
        """New inputs with the source's values, or with the model's defaults."""
        if source is None:
            inputs: CoreInputs = self.spec.inputs_model(owner=self.profile)
            return inputs
        return copy_inputs(source, owner=self.profile)

    def save(self, draft: Draft, profile: Profile) -> CoreInputs:
        """The saved inputs: the earlier ones when the same was asked for twice."""
        inputs: CoreInputs = draft.parameters.save(commit=False)
        wish = draft.run.wish()
        earlier = self.earlier(profile, wish["idempotency_key"])
        if earlier is not None:
            if same_parameters(inputs, earlier):
                return earlier
            # The page was sent again with other values: another wish.
            wish["idempotency_key"] = str(uuid.uuid4())
        parent = run_of(self.spec, draft.source) if draft.source else None
        wish["parent"] = str(parent.pk) if parent else None
        return save_inputs(inputs, run_request=wish)

    def earlier(self, profile: Profile, key: str) -> CoreInputs | None:
        wished = self.spec.inputs_model._default_manager.filter(
            owner=profile, run_request__idempotency_key=key
        )
        found: CoreInputs | None = wished.order_by("created").first()
        return found

    @property
    def session_key(self) -> str:
        return f"comp_core.typed.{self.spec.slug}"

    def keep_for_login(self, draft: Draft) -> HttpResponseBase:
        """Remember what was typed, send the visitor to the log-in, and come back here."""
        typed = draft.parameters.typed()
        if len(str(typed)) <= MAX_TYPED:
            self.request.session[self.session_key] = typed
        return redirect_to_login(self.request.get_full_path())

    def show(self, draft: Draft) -> HttpResponse:
        context = {
            "spec": self.spec,
            "project": self.project,
            "quote": quote_for(self.spec, self.project, self.profile),
            "draft": draft,
        }
        return render_page(self.request, "comp_core/model.html", context)


def kept_files(source: CoreInputs | None) -> dict[str, str]:
    """Per upload, the name of the earlier file that is used unless another is chosen."""
    if source is None:
        return {}
    return {
        name: source.adjustment.get(name) or getattr(source, name).name.rpartition("/")[2]
        for name in file_names(type(source))
        if getattr(source, name)
    }
