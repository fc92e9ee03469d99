"""The benchmarks' one command works, and says what it has found in one shape."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.figures import Figure, Sample

ROOT = Path(__file__).resolve().parent.parent
VERBS = ("submit", "claim", "heartbeat", "finish", "list")
QUICK = [
    *(f"statements of {verb}, {site}" for verb in VERBS for site in ("free site", "billed site")),
    "child_start",
    *("claim, one owner", "submit, one owner", "claim, many owners", "submit, many owners"),
    "submit, own waiting",
    "progress",
]
SCENARIOS = [
    "subscription.updated, known",
    "subscription.updated, unknown as its customer",
    "invoice.paid, customer known",
    "invoice.paid, customer and subscription unknown",
    "duplicate delivery",
    "unknown type",
]
OF_A_WEBHOOK = [
    "webhook",
    "webhook beside the driver",
    "webhook beside a view written by hand",
    "statements of a webhook",
    "commits of a webhook",
    "API calls of a webhook",
]
OF_A_SYNC = [
    "bulk sync",
    "re-sync of unchanged lists",
    "API calls of a bulk sync, to its pages of a hundred",
    "rows written by a re-sync of unchanged lists",
]
MIRROR = [
    "migrate",
    *(f"{figure}: {scenario}" for scenario in SCENARIOS for figure in OF_A_WEBHOOK),
    *OF_A_SYNC,
]
WORKERS = ["idle start", "end to end", "milliseconds of a worker for each run"]
KEYS = {"name", "database", "unit", "ours", "rival", "ratio", "target", "holds", "parts"}


def measured(*options: str, **environment: str) -> dict[str, Any]:
    """The document that the command prints."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
    )
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def only(*names: str) -> list[str]:
    return [option for name in names for option in ("--only", name)]


@pytest.mark.slow
def test_both_databases() -> None:
    """One document with the same figures, in the same shape, of both databases."""
    document = measured(*only("statements", "child_start", "claims", "progress"))
    found = [(figure["database"], figure["name"], set(figure)) for figure in document["figures"]]
    expected = [("sqlite", name, KEYS) for name in QUICK]
    expected += [("postgresql", name, KEYS) for name in QUICK]
    assert (set(document), found) == ({"date", "machine", "figures", "missed"}, expected)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_real_workers(database: str) -> None:
    """The library's worker and the bare engine's carry out what they are given."""
    document = measured("--database", database, *only("end_to_end"))
    assert [figure["name"] for figure in document["figures"]] == WORKERS


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_without_the_rival(database: str) -> None:
    """Where it cannot be installed the figures say so, and all else is measured: counts hold, and
    the bare driver has written what the library writes."""
    asked = only("migrations", "webhooks", "sync")
    document = measured("--database", database, *asked, PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    figures = {figure["name"]: figure for figure in document["figures"]}
    told = [str(figures[name]["parts"]["rival"]) for name in ("migrate", "bulk sync")]
    words = [text.partition(":")[0] for text in told]
    counts = {name: figures[name]["holds"] for name in figures if " of a " in name}
    assert (list(figures), words, set(counts.values())) == (
        MIRROR,
        ["dj-stripe 2.11.0 could not be installed"] * 2,
        {True},
    )


@pytest.mark.slow
def test_books() -> None:
    """Both figures of one customer hold even in tiny tables, with so many statements."""
    document = measured("--database", "postgres", *only("books"))
    parts = {figure["name"]: figure["parts"].get("statements") for figure in document["figures"]}
    assert parts == {
        "costs page of one customer": 3,
        "books of one customer": 5,
        "costs page of a customer with 2,000 records": None,
        "books of a customer with 2,000 records": None,
    }


@pytest.mark.slow
def test_beside_the_rival() -> None:
    """Its own environment is made, its site accepts every event, and it is found to be slower."""
    document = measured("--database", "sqlite", *only("webhooks", "sync"))
    beside = [figure for figure in document["figures"] if figure["name"].startswith("webhook: ")]
    sync = next(figure for figure in document["figures"] if figure["name"] == "bulk sync")
    faster = {figure["name"] for figure in [*beside, sync] if (figure["ratio"] or 0) > 1}
    assert faster == {*(f"webhook: {scenario}" for scenario in SCENARIOS), "bulk sync"}


def figure(**values: Any) -> Figure:
    """A figure of a median of three."""
    given = {"name": "some", "unit": "ms", "ours": Sample([2.0, 3.0, 30.0]), **values}
    return Figure(**given)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, (None, None)),
        ({"at_most": 3}, (None, True)),
        ({"at_most": 2.9}, (None, False)),
        ({"rival": Sample([2.0]), "at_most": 1.5}, (1.5, True)),
        ({"rival": Sample([2.0]), "at_most": 1.4}, (1.5, False)),
        ({"rival": Sample([1.0, 1.0, 30.0]), "paired": True, "at_most": 2}, (2.0, True)),
        ({"rival": Sample([1.0, 1.0, 30.0]), "at_most": 2}, (3.0, False)),
        ({"at_least": 3}, (None, True)),
        ({"rival": Sample([1.0]), "at_least": 3}, (3.0, True)),
        ({"rival": Sample([1.0]), "at_least": 3.1}, (3.0, False)),
    ],
)
def test_targets(values: dict[str, Any], expected: tuple[float | None, bool | None]) -> None:
    """A target bounds the ratio to the rival; without one, our own median."""
    judged = figure(**values)
    assert (judged.ratio, judged.holds) == expected


@pytest.mark.parametrize(
    ("options", "holds", "status"),
    [
        (["--check"], False, 1),
        (["--check"], True, 0),
        (["--check"], None, 0),
        ([], False, 0),
    ],
)
def test_check(
    options: list[str],
    holds: bool | None,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asked to check, the command's exit status tells of a missed target; the document always."""
    found = [{"name": "some", "database": "sqlite", "holds": holds}]
    monkeypatch.setattr(command, "_measured", lambda database, options: found)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--database", "sqlite", *options])
    answer = command.main()
    missed = json.loads(capsys.readouterr().out)["missed"]
    assert (answer, missed) == (status, ["some (sqlite)"] if holds is False else [])
