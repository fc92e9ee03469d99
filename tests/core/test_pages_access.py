"""Invariant 8: no page shows or changes what the role table does not allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from comp_core.models import Run
from comp_core.outputs import File
from comp_users.models import Project
from tests.core.builders import make_inputs, make_profile, make_run
from tests.core.pages import finished_run, page_of, staff_visitor, visitor

pytestmark = pytest.mark.django_db

PRIVATE_PAGES = ["run", "run_status", "archive"]


def addresses(run: Run) -> list[str]:
    """Every address under which something of a run can be read."""
    pages = [reverse(f"comp_core:{name}", args=[run.pk]) for name in PRIVATE_PAGES]
    return [*pages, reverse("comp_core:output", args=[run.pk, "1"])]


def answers(client: Client, run: Run) -> list[int]:
    return [status_of(client, address) for address in addresses(run)]


def status_of(client: Client, address: str) -> int:
    """The status of an answer that is read to its end, which closes a download's file."""
    response = client.get(address)
    b"".join(response)
    return int(response.status_code)


@pytest.fixture
def private_run(tmp_path: Path) -> Run:
    return finished_run(tmp_path / "made", [File("secret.txt", "secret")])


def test_a_strangers_private_run_is_not_there(private_run: Run) -> None:
    """Another user gets the same 404 on every address as for a run that does not exist."""
    assert answers(visitor(make_profile()), private_run) == [404] * 4


def test_visitors_see_no_private_run(private_run: Run) -> None:
    """Neither do people who are not logged in."""
    assert answers(Client(), private_run) == [404] * 4


def test_owners_and_staff_see_it(private_run: Run) -> None:
    """The owner and the staff do."""
    owner, staff = visitor(private_run.owner), staff_visitor(make_profile())
    assert answers(owner, private_run) + answers(staff, private_run) == [200] * 8


def test_everybody_sees_a_public_run(tmp_path: Path) -> None:
    """A public run opens for people who are not logged in."""
    run = finished_run(tmp_path / "made", [File("open.txt", "open")], is_public=True)
    assert answers(Client(), run) == [200] * 4


def test_the_missing_and_the_hidden_look_the_same(private_run: Run) -> None:
    """Their answers cannot be told apart."""
    client = visitor(make_profile())
    hidden = client.get(page_of(private_run))
    missing = client.get(reverse("comp_core:run", args=["00000000-0000-0000-0000-000000000000"]))
    assert (hidden.status_code, hidden.content) == (missing.status_code, missing.content)


def test_only_owner_and_staff_cancel() -> None:
    """A stranger's cancel is a 404 even on a public run, which goes on."""
    run = make_run()
    Run.objects.filter(pk=run.pk).update(is_public=True)
    answer = visitor(make_profile()).post(reverse("comp_core:cancel", args=[run.pk]))
    assert (answer.status_code, Run.objects.get(pk=run.pk).status) == (404, "queued")


def test_the_owner_cancels() -> None:
    """The owner's cancel ends a queued run and leads back to its page."""
    run = make_run()
    answer = visitor(run.owner).post(reverse("comp_core:cancel", args=[run.pk]))
    assert (answer.url, Run.objects.get(pk=run.pk).status) == (page_of(run), "cancelled")


def test_cancelling_needs_a_post() -> None:
    """A link cannot cancel anything."""
    run = make_run()
    answer = visitor(run.owner).get(reverse("comp_core:cancel", args=[run.pk]))
    assert (answer.status_code, Run.objects.get(pk=run.pk).status) == (405, "queued")


def test_a_strangers_inputs_are_not_there() -> None:
    """Nor can they be submitted."""
    inputs = make_inputs()
    address = reverse("comp_core:inputs", args=["doubling", inputs.pk])
    client = visitor(make_profile())
    codes = [client.get(address).status_code, client.post(address).status_code]
    assert (codes, Run.objects.count()) == ([404, 404], 0)


def test_a_strangers_inputs_fill_no_form() -> None:
    """``?from=`` takes nothing from a run that the user does not see."""
    run = make_run(number=77.5)
    page = visitor(make_profile()).get(f"/models/doubling/?from={run.pk}")
    assert "77.5" not in page.content.decode()


def test_a_private_model_is_not_there() -> None:
    """Its page is a 404, and its runs cannot be submitted, by any but owner and staff."""
    Project.objects.filter(slug="unruly").update(is_public=False, owner=None)
    client, staff = visitor(make_profile()), staff_visitor(make_profile())
    codes = [
        client.get("/models/unruly/").status_code,
        client.post("/models/unruly/", {"behaviour": "fine", "amount": 0}).status_code,
        staff.get("/models/unruly/").status_code,
    ]
    assert codes == [404, 404, 200]


def test_my_runs_are_mine() -> None:
    """The list holds the user's runs and no others."""
    mine, other = make_run(), make_run()
    page = visitor(mine.owner).get("/models/runs/").content.decode()
    assert (str(mine.pk) in page, str(other.pk) in page) == (True, False)


def test_pages_for_users_ask_visitors_to_log_in() -> None:
    """And come back afterwards."""
    answer = Client().get("/models/runs/")
    assert answer.url == "/accounts/login/?next=/models/runs/"


def test_a_list_of_runs_takes_few_statements(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    """Fifty runs are listed with three statements besides the session's two."""
    owner = make_profile()
    for _ in range(5):
        make_run(owner=owner)
    client = visitor(owner)
    with django_assert_max_num_queries(5):
        client.get("/models/runs/")


@pytest.mark.parametrize(
    ("page", "expected"),
    [(1, (False, True)), (2, (True, True)), (3, (True, False))],
)
def test_a_long_list_is_turned_over_page_by_page(
    page: int, expected: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer runs on the page before, older ones on the page after."""
    monkeypatch.setattr("comp_core.views.runs.RUNS_PER_PAGE", 1)
    owner = make_profile()
    make_run(owner=owner), make_run(owner=owner), make_run(owner=owner)
    text = visitor(owner).get(f"{reverse('comp_core:runs')}?page={page}").content.decode()
    newer, older = f'rel="prev" href="?page={page - 1}"', f'rel="next" href="?page={page + 1}"'
    assert (newer in text, older in text) == expected
