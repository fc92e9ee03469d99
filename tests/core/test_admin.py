"""Runs in the admin: seen, never edited, cancelled by the lifecycle's own verb."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from comp_core.models import Run
from tests.core.builders import make_claimed, make_run

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = "/admin/comp_core/run/"


@pytest.fixture
def operator(client: Client) -> Client:
    """A logged-in superuser."""
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.org"))
    return client


@pytest.mark.parametrize("page", [RUNS, "/admin/comp_core/worker/"])
def test_lists(operator: Client, page: str) -> None:
    """The lists are shown."""
    make_run()
    assert operator.get(page).status_code == 200


def test_a_run_is_read_only(operator: Client) -> None:
    """The page of a run has no field to write into, and takes no write."""
    run = make_run()
    page = operator.get(f"{RUNS}{run.pk}/change/")
    posted = operator.post(f"{RUNS}{run.pk}/change/", {"status": "succeeded"})
    assert (page.status_code, b'name="status"' in page.content, posted.status_code) == (
        200,
        False,
        403,
    )


def test_cancel(operator: Client) -> None:
    """The action cancels what waits, asks what runs, and leaves the rest."""
    running, queued = make_claimed(), make_run()
    data = {"action": "cancel_runs", "_selected_action": [str(running.pk), str(queued.pk)]}
    operator.post(RUNS, data)
    runs = {run.pk: (run.status, run.cancel_requested_at is None) for run in Run.objects.all()}
    assert runs == {running.pk: ("running", False), queued.pk: ("cancelled", True)}
