"""Who sees which runs."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from model_utils.managers import InheritanceQuerySet

from comp_core.models import Run
from comp_users.access import is_staff


def visible_runs(user: Any) -> InheritanceQuerySet[Run]:
    """The user's own and all public runs; every run for staff."""
    if is_staff(user):
        return Run.objects.all()
    visible = Q(is_public=True)
    if getattr(user, "is_authenticated", False):
        visible |= Q(owner__user=user)
    return Run.objects.filter(visible)
