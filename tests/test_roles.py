"""Every address of the library, every method, every kind of visitor (invariants 7 and 8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLResolver, get_resolver, reverse

from comp_core.models import Run
from comp_core.outputs import File
from tests.core.builders import make_profile
from tests.core.pages import finished_run, staff_visitor, visitor
from tests.testapp.models import DoublingRun

pytestmark = pytest.mark.django_db(transaction=True)

SPACES = ("comp_billing", "comp_core", "comp_users")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "ODD")
# Addresses that hold something of one user's.
OF_A_RUN = ("archive", "cancel", "inputs", "output", "run", "run_status")
# Answers that a caller's own fault may have; a fault of ours is above.
CALM = {200, 302, 400, 403, 404, 405}


def names() -> list[str]:
    """Every address of our apps by its name, from the resolver: a new one is in the tests."""
    found = []
    for entry in get_resolver().url_patterns:
        if isinstance(entry, URLResolver) and entry.namespace in SPACES:
            found += [f"{entry.namespace}:{name}" for name in _within(entry)]
    return sorted(found)


def _within(resolver: URLResolver) -> list[str]:
    return [
        name
        for entry in resolver.url_patterns
        for name in (_within(entry) if isinstance(entry, URLResolver) else [entry.name])
    ]


def address(name: str, run: Run) -> str:
    """The address of that name for a run, its model or its inputs."""
    known: dict[str, list[Any]] = {
        "model": [run.project.slug],
        "quote": [run.project.slug],
        "inputs": [run.project.slug, DoublingRun.objects.get(pk=run.pk).inputs_id],
        "output": [run.pk, "1"],
    }
    short = name.partition(":")[2]
    return reverse(name, args=known.get(short, [run.pk] if short in OF_A_RUN else []))


@pytest.fixture
def private_run(tmp_path: Path) -> Run:
    return finished_run(tmp_path / "made", [File("secret.txt", "secret")])


@pytest.fixture
def clients(private_run: Run) -> dict[str, Client]:
    return {
        "nobody": Client(),
        "stranger": visitor(make_profile()),
        "owner": visitor(private_run.owner),
        "staff": staff_visitor(make_profile()),
    }


def status(client: Client, method: str, url: str) -> int:
    """The status of an answer that is read to its end, which closes a download's file."""
    response = client.generic(method, url, b"", content_type="application/x-www-form-urlencoded")
    b"".join(response)
    return int(response.status_code)


@pytest.mark.parametrize("who", ["nobody", "stranger", "owner", "staff"])
def test_no_method_of_any_address_is_a_fault_of_ours(
    clients: dict[str, Client], private_run: Run, who: str
) -> None:
    """Whatever is asked, the answer is a page or a refusal."""
    urls = [address(name, private_run) for name in names()]
    answers = {(url, m): status(clients[who], m, url) for url in urls for m in METHODS}
    assert {key: code for key, code in answers.items() if code not in CALM} == {}


def test_a_strangers_ids_do_not_exist(clients: dict[str, Client], private_run: Run) -> None:
    """Every address that holds something of a user's is a 404 for another, by reading methods and
    by POST alike; methods that a page does not know may say so first."""
    urls = [address(f"comp_core:{name}", private_run) for name in OF_A_RUN]
    answers = {
        (url, method): status(clients["stranger"], method, url)
        for url in urls
        for method in ("GET", "HEAD", "POST")
    }
    assert {key: code for key, code in answers.items() if code not in (404, 405)} == {}
    assert [answers[url, "GET"] for url in urls].count(404) == len(OF_A_RUN) - 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_is_changed_without_the_token(private_run: Run, method: str) -> None:
    """The webhooks have signatures instead; methods that a page does not know are told so."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(private_run.owner.user)
    answers = {name: status(client, method, address(name, private_run)) for name in names()}
    webhooks = {answers.pop(f"comp_billing:{name}") for name in ("webhook", "thin_webhook")}
    assert {name: code for name, code in answers.items() if code not in (403, 405)} == {}
    assert webhooks <= {400, 405}


@pytest.mark.parametrize("who", ["nobody", "stranger", "owner", "staff"])
def test_reading_writes_nothing(clients: dict[str, Client], private_run: Run, who: str) -> None:
    """No GET, HEAD or OPTIONS changes a row; sessions aside, which carry the log-in."""
    clients[who].get("/models/")
    urls = [address(name, private_run) for name in names()]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for url in urls:
            for method in ("GET", "HEAD", "OPTIONS"):
                status(clients[who], method, url)
    written = [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert [sql for sql in written if "django_session" not in sql] == []
