"""Who sees which runs."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from comp_core.lifecycle import submit
from comp_core.runs import visible_runs
from tests.core.builders import make_inputs, make_profile

pytestmark = pytest.mark.django_db


def test_visible_runs() -> None:
    """Everybody sees public runs, owners their own too, staff all."""
    owner, stranger, staff = make_profile(), make_profile(), make_profile()
    staff.user.is_staff = True
    public = submit(make_inputs(owner=owner), is_public=True)
    private = submit(make_inputs(owner=owner), is_public=False)
    seen = [
        {run.pk for run in visible_runs(user)}
        for user in (AnonymousUser(), stranger.user, owner.user, staff.user)
    ]
    assert seen == [{public.pk}, {public.pk}, {public.pk, private.pk}, {public.pk, private.pk}]
