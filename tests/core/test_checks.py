"""What is wrong with a site's settings, or among its models, is said by ``manage.py check``."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.test.utils import isolate_apps

from comp_core.checks import (
    check_databases,
    check_duplicates,
    check_settings,
    check_shared_inputs,
)
from comp_core.registry import run_models, spec_of
from tests.core.builders import ids
from tests.testapp.models import DoublingRun


def test_duplicate_slugs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models of one slug: the second is told."""
    monkeypatch.setattr("comp_core.checks.run_models", lambda: [DoublingRun, DoublingRun])
    assert ids(check_duplicates(None)) == ["comp_core.E018"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("COMP_CORE", [], ["comp_core.E001"]),
        ("COMP_CORE", {"LEASE_SECOND": 1}, ["comp_core.E002"]),
        ("COMP_CORE", {"LEASE_SECONDS": "1"}, ["comp_core.E003"]),
        ("COMP_CORE", {"METER": "comp_core.metering.cost_of"}, ["comp_core.E004"]),
        ("COMP_CORE", {"METER": "nowhere.Meter"}, ["comp_core.E004"]),
        ("COMP_CORE", {"TASK_BACKEND": "nowhere"}, ["comp_core.E005"]),
        ("COMP_CORE", {"STORAGE": "nowhere"}, ["comp_core.E007"]),
        ("TASKS", {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}, ["comp_core.E006"]),
    ],
)
def test_wrong_settings(settings: Any, name: str, value: Any, expected: list[str]) -> None:
    """Each mistake in the settings has its id."""
    setattr(settings, name, value)
    assert ids(check_settings(None)) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["comp_core.W002"]),
        ({"transaction_mode": "IMMEDIATE"}, ["comp_core.W002"]),
        (
            {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode = WAL;"},
            [],
        ),
    ],
)
def test_sqlite_profile(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], expected: list[str]
) -> None:
    """SQLite without immediate transactions and a write-ahead log is warned about."""
    config = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": options}
    monkeypatch.setattr("comp_core.checks.settings.DATABASES", {"default": config})
    assert ids(check_databases(None)) == expected


def test_shared_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models with one class of inputs: the second is told."""
    monkeypatch.setattr("comp_core.checks.run_models", lambda: [DoublingRun, DoublingRun])
    assert ids(check_shared_inputs(None)) == ["comp_core.E020"]


@isolate_apps("tests.testapp")
def test_a_proxy_is_no_model_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's proxy, for its admin say, neither collides nor takes the place of its original."""

    class DoublingProxy(DoublingRun):
        class Meta:
            app_label = "testapp"
            proxy = True

    monkeypatch.setattr(apps, "get_models", lambda: [DoublingRun, DoublingProxy])
    assert (run_models(), spec_of(DoublingProxy()).run_model) == ([DoublingRun], DoublingRun)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"MAX_ATTEMPTS": 0}, ["comp_core.E003"]),
        ({"LEASE_SECONDS": -5}, ["comp_core.E003"]),
        ({"DEADLINE_SECONDS": float("inf")}, ["comp_core.E003"]),
        ({"STORAGE": ["default"]}, ["comp_core.E003"]),
        ({"MAX_MEMORY_BYTES": None}, []),
        ({"LEASE_SECONDS": 3}, ["comp_core.E008"]),
        ({"MAX_ATTEMPTS": 1001}, ["comp_core.E003"]),
        ({"QUEUE_DEADLINE_SECONDS": 10**15}, ["comp_core.E003"]),
        ({"KEEP_LOGS_DAYS": 10**6}, ["comp_core.E003"]),
        ({"TERMINATE_GRACE_SECONDS": 60}, ["comp_core.E024"]),
        ({"CURRENCY": "Dollar"}, ["comp_core.E019"]),
    ],
)
def test_settings_that_cannot_work(settings: Any, value: Any, expected: list[str]) -> None:
    """A value of the right type may be impossible all the same."""
    settings.COMP_CORE = value
    assert ids(check_settings(None)) == expected


def test_naive_moments(settings: Any) -> None:
    """Leases are told by the database's clock, so moments need their zone."""
    settings.USE_TZ = False
    assert ids(check_settings(None)) == ["comp_core.E009"]
