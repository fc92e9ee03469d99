"""The doctor: what it makes of probes, of a database that is away, and of missing tables."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, OperationalError

from comp_core import doctor
from comp_core.doctor import Finding, Level, examine, ok, problem, register_probe, warning, worst
from comp_core.secrecy import without_secrets

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test registers the probes that it is about."""
    monkeypatch.setattr(doctor, "_probes", {})


def comp_doctor(*options: str) -> tuple[int, str]:
    """Exit status and output."""
    out, code = io.StringIO(), 0
    try:
        call_command("comp_doctor", *options, stdout=out, no_color=True)
    except SystemExit as end:
        code = int(str(end.code))
    return code, out.getvalue()


def said_by(name: str) -> list[tuple[Level, str]]:
    return [(finding.level, finding.what) for finding in examine() if finding.probe == name]


def test_every_probe_is_asked() -> None:
    """Its findings carry its name; a second one of the same name takes its place."""
    register_probe("site.a", lambda: [ok("Old.")])
    register_probe("site.a", lambda: [ok("Fine."), warning("Odd.", "Look.")])
    assert said_by("site.a") == [(Level.OK, "Fine."), (Level.WARNING, "Odd.")]


def test_deep_probes_wait_until_they_are_asked_for() -> None:
    """They take their time."""
    register_probe("site.deep", lambda: [ok("Deep.")], deep=True)
    found = [{finding.probe for finding in examine(deep=deep)} for deep in (False, True)]
    assert found == [{"migrations"}, {"migrations", "site.deep"}]


def test_a_probe_that_raises_is_a_finding(settings: Any) -> None:
    """In its error's words, the site's secrets left out; the other probes have their turn."""
    settings.COMP_BILLING = {"SECRET_KEY": "sk_test_hidden"}

    def broken() -> Iterator[Finding]:
        yield ok("So far.")
        raise RuntimeError("no access with sk_test_hidden\nand more")

    register_probe("site.broken", broken)
    register_probe("site.next", lambda: [ok("Fine.")])
    words = "This could not be examined: RuntimeError: no access with ********************"
    assert said_by("site.broken") == [(Level.OK, "So far."), (Level.PROBLEM, words)]
    assert said_by("site.next") == [(Level.OK, "Fine.")]


def test_without_a_database_there_is_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """And exit status 1."""

    def away() -> list[str]:
        raise OperationalError("connection refused")

    monkeypatch.setattr(doctor, "unapplied_migrations", away)
    register_probe("site.a", lambda: [ok("Fine.")])
    assert comp_doctor() == (
        1,
        "PROBLEM  database: The database does not answer: OperationalError: connection refused\n"
        "         Start it, or correct DATABASES.\n",
    )


def test_with_tables_missing_the_way_out_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the missing tables make impossible is counted, what is possible is asked."""

    def no_table() -> list[Finding]:
        raise DatabaseError("no such table")

    monkeypatch.setattr(doctor, "unapplied_migrations", lambda: ["comp_core.0001_initial"])
    register_probe("site.a", no_table)
    register_probe("site.b", no_table)
    register_probe("site.c", lambda: [ok("Fine.")])
    assert [(finding.probe, finding.what) for finding in examine()] == [
        ("migrations", "Migrations that have not been applied: 1, comp_core.0001_initial first."),
        ("site.c", "Fine."),
        ("migrations", "Probes that could not be made for want of tables or columns: 2."),
    ]


@pytest.mark.parametrize(
    ("finding", "options", "code"),
    [
        (ok("Fine."), [], 0),
        (ok("Fine."), ["--strict"], 0),
        (warning("Odd.", "Look."), [], 0),
        (warning("Odd.", "Look."), ["--strict"], 1),
        (problem("Bad.", "Mend."), [], 1),
    ],
)
def test_the_exit_status(finding: Finding, options: list[str], code: int) -> None:
    """0 without problems; warnings count when asked."""
    register_probe("site.a", lambda: [finding])
    assert comp_doctor(*options)[0] == code


def test_programs_get_json() -> None:
    """The worst level, then every finding."""
    register_probe("site.a", lambda: [problem("Bad.", "Mend.")])
    code, out = comp_doctor("--json")
    answer = json.loads(out)
    assert (code, answer["status"], answer["findings"][-1]) == (
        1,
        "problem",
        {"probe": "site.a", "level": "problem", "what": "Bad.", "todo": "Mend."},
    )


def test_the_worst_decides() -> None:
    """No finding at all is no problem."""
    found = [ok(""), problem("", ""), warning("", "")]
    assert (worst(found), worst([])) == (Level.PROBLEM, Level.OK)


@pytest.mark.parametrize(
    "values",
    [
        {"DATABASES": {"default": {"PASSWORD": "hush-hush"}}},
        {"STORAGES": {"s3": {"OPTIONS": {"secret_key": "hush-hush"}}}},
        {"SECRET_KEY_FALLBACKS": ["hush-hush"]},
        {"EMAIL_HOST_PASSWORD": "hush-hush"},
    ],
)
def test_secrets_are_left_out(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a setting keeps them, under a name by which Django hides it too."""
    settings = type("Settings", (), values)
    monkeypatch.setattr("comp_core.secrecy.settings", settings)
    assert without_secrets("It said hush-hush.") == "It said ********************."


def test_credentials_in_addresses_are_left_out() -> None:
    """Brokers and storages are named by addresses, in settings of any name."""
    said = without_secrets("Cannot connect to redis://:hush@host:6379/0.")
    assert said == "Cannot connect to redis://********************@host:6379/0."


@pytest.mark.parametrize("password", ["p@ss", "p/ss", "p@s/s"])
def test_a_password_with_signs_of_an_address(password: str) -> None:
    """No part of it is shown."""
    said = without_secrets(f"Cannot connect to postgres://user:{password}@host/db.")
    assert said == "Cannot connect to postgres://********************@host/db."
