"""Stripe is called by the worker and by commands: by no page but those of payment, and in no open
transaction (invariant 9)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.signals import request_finished, request_started
from django.test import Client
from django.urls import reverse

import comp_billing
from comp_billing import guards
from comp_billing.models import Intent
from comp_core import lifecycle
from comp_core.status import InputsStatus
from comp_users.models import Project
from tests.billing.builders import Site
from tests.test_roles import address, names
from tests.testapp.models import DoublingInputs, DoublingRun

# Pages that go on to a page of Stripe's, and the preview of the next invoice.
MAY_CALL = {
    "comp_billing:card": {"POST"},
    "comp_billing:portal": {"POST"},
    "comp_billing:upcoming": {"GET", "HEAD"},
}
METHODS = ("GET", "HEAD", "POST")
SOURCE = Path(comp_billing.__file__).parent


@pytest.fixture
def browsing(site: Site) -> Any:
    """A subscriber, and somebody of the staff, who have a run and whose pages Django serves as a
    server does: with the signals that tell a request from the rest."""
    project, payer = site.shop(), site.subscriber()
    inputs = DoublingInputs.objects.create(owner=payer, status=InputsStatus.VALID)
    project.slug = DoublingRun.Comp.slug
    project.save()
    run = lifecycle.submit(inputs)
    staff = get_user_model().objects.create_superuser("root", "root@example.org", "pw")
    clients = {"subscriber": Client(), "staff": Client()}
    clients["subscriber"].force_login(payer.user)
    clients["staff"].force_login(staff)
    site.work()
    return site, run, clients


def asked(client: Client, method: str, url: str, site: Site) -> int:
    """How many calls a request has made."""
    before = site.standin.calls.total()
    response = client.generic(method, url, b"", content_type="application/x-www-form-urlencoded")
    b"".join(response)
    return site.standin.calls.total() - before


@pytest.mark.parametrize("who", ["subscriber", "staff"])
def test_pages_call_nobody(browsing: Any, who: str, settings: Any) -> None:
    """Every address of the library, by every method; but for the pages of payment."""
    site, run, clients = browsing
    settings.ROOT_URLCONF = "tests.urls"
    wanted = {
        (name, method): address(name, run)
        for name in names()
        for method in METHODS
        if method not in MAY_CALL.get(name, ())
    }

    calls = {key: asked(clients[who], key[1], url, site) for key, url in wanted.items()}

    assert {key: number for key, number in calls.items() if number} == {}
    assert len(calls) > 60


def test_admin_calls_nobody(browsing: Any) -> None:
    """Every list, and the page of every model's form; actions enqueue."""
    site, _, clients = browsing
    urls = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]

    calls = {url: asked(clients["staff"], "GET", url, site) for url in urls}

    assert {url: number for url, number in calls.items() if number} == {}


def test_publishing_in_the_admin_calls_nobody(browsing: Any) -> None:
    """What it takes at Stripe is written down for the worker, in the same transaction."""
    site, _, clients = browsing
    before = site.standin.calls.total()
    form = {
        "name": "New",
        "slug": "new",
        "is_public": "on",
        "listed": "on",
        "server_cost": "1",
        "exp_task_time": "60",
    }

    clients["staff"].post(reverse("admin:comp_users_project_add"), form)

    made = Project.objects.get(slug="new")
    assert site.standin.calls.total() == before
    subject = f"product.create:project:{made.pk}:comp_project_{made.pk}"
    assert Intent.objects.filter(subject=subject).exists()


def calls_with(keyword: str) -> set[str]:
    """The modules of the library in which a call has this keyword."""
    return {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and any(word.arg == keyword for word in node.keywords)
    }


def test_only_pages_of_payment_are_allowed_to_call() -> None:
    """The permission is given where it is used, and nowhere else."""
    allowed = {"paying/cards.py", "paying/portal.py", "paying/previews.py"}
    assert calls_with("in_request") == allowed


def test_nobody_lifts_the_guard_on_transactions() -> None:
    """That is for tests alone."""
    users = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "open_transaction_allowed" in path.read_text(encoding="utf-8")
    }
    assert users <= {"guards.py", "testing/plugin.py"}


def test_guards_stand_before_every_call() -> None:
    """There is one door, and it asks both of them first; the receivers that tell a request are
    connected."""
    tree = ast.parse((SOURCE / "stripe_api.py").read_text(encoding="utf-8"))
    (call,) = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "call"
    ]
    text = ast.unparse(call)
    assert text.index("refuse_open_transaction") < text.index("raw_request")
    assert text.index("refuse_web_request") < text.index("raw_request")
    connected = [guards.enter_request in _receivers(request_started)]
    connected.append(guards.leave_request in _receivers(request_finished))
    assert connected == [True, True]


def _receivers(signal: Any) -> list[Any]:
    return signal._live_receivers(None)[0]
