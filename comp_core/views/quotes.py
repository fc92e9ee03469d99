"""What a run would cost, for programs."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from comp_core.views.access import offered_model
from comp_core.views.catalogue import quote_for


@never_cache
@require_safe
def quote(request: HttpRequest, slug: str) -> JsonResponse:
    """What a run of a model would cost this user under today's terms, as ``Quote.as_json``; what a
    visitor would pay for one who is not logged in. 404 as the model's page."""
    spec, project = offered_model(request.user, slug)
    profile = getattr(request.user, "profile", None)
    return JsonResponse(quote_for(spec, project, profile).as_json())
