"""What the tests of pages share: who visits, and which run they visit."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.test import Client
from django.urls import reverse

from comp_core import lifecycle
from comp_core.lifecycle import Outcome
from comp_core.models import Run
from comp_core.outputs import Chart, File, Table
from comp_core.outputs.store import save_outputs
from comp_core.outputs.writing import write_outputs
from comp_core.status import RunStatus
from comp_users.models import Profile
from tests.core.builders import make_claimed


def visitor(profile: Profile) -> Client:
    """A browser that is logged in."""
    client = Client()
    client.force_login(profile.user)
    return client


def staff_visitor(profile: Profile) -> Client:
    """A browser of somebody of the staff."""
    profile.user.is_staff = True
    profile.user.save()
    return visitor(profile)


def finished_run(
    folder: Path, outputs: list[Table | Chart | File], owner: Profile | None = None, **values: Any
) -> Run:
    """A succeeded run of a second and a half with these outputs in storage."""
    run = make_claimed(owner=owner)
    Run.objects.filter(pk=run.pk).update(**values)
    folder.mkdir(exist_ok=True)
    entries = write_outputs(outputs, str(folder), max_bytes=10**7, max_sum_bytes=10**7)
    manifest = save_outputs(run, entries, folder, between=lambda: None)
    shutil.rmtree(folder)
    outcome = Outcome(status=RunStatus.SUCCEEDED, seconds=Decimal("1.5"), outputs=manifest)
    assert lifecycle.finish(run.pk, run.lease_token, outcome)
    return Run.objects.select_related("owner__user").get(pk=run.pk)


def ended_run(owner: Profile | None = None, **outcome: Any) -> Run:
    """A run that ended otherwise."""
    run = make_claimed(owner=owner)
    assert lifecycle.finish(run.pk, run.lease_token, Outcome(**outcome))
    return Run.objects.select_related("owner__user").get(pk=run.pk)


def page_of(run: Run) -> str:
    return reverse("comp_core:run", args=[run.pk])
