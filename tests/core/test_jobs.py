"""What a model is given: its parameters, a clean environment, a directory, an interpreter."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.base import ContentFile

from comp_core import runner
from comp_core.models import Run
from tests.core.builders import (
    content,
    make_claimed,
    run_unruly,
)
from tests.testapp.models import ParcelInputs

pytestmark = pytest.mark.django_db


def test_every_kind_of_parameter() -> None:
    """Parameters arrive in Python's own types; a file as a copy under its user's name."""
    inputs = ParcelInputs(
        document=ContentFile(b"a,b\n1,2\n", name="my data.csv"),
        day=date(2026, 2, 3),
        moment=datetime(2026, 2, 3, 4, 5, tzinfo=UTC),
        clock=clock(6, 7),
        length=timedelta(hours=1),
        price=Decimal("1.5000"),
        tree={"a": [1, None]},
        mark=UUID(int=1),
        flag=True,
        words="Grüße",
    )
    run = make_claimed(
        "parcel",
        adjustment={"document": "my data.csv"},
        **{field.name: getattr(inputs, field.name) for field in ParcelInputs.parameter_fields()},
    )
    runner.execute(run)
    rows = {row[0]: row[1:] for row in json.loads(content(Run.objects.get(pk=run.pk)))["rows"]}
    rows["document"][1] = ""
    assert rows == {
        "document": ["str", ""],
        "day": ["date", "2026-02-03"],
        "moment": ["datetime", "2026-02-03 04:05:00+00:00"],
        "clock": ["time", "06:07:00"],
        "length": ["timedelta", "1:00:00"],
        "price": ["Decimal", "1.5000"],
        "tree": ["dict", "{'a': [1, None]}"],
        "mark": ["UUID", "00000000-0000-0000-0000-000000000001"],
        "flag": ["bool", "True"],
        "words": ["str", "Grüße"],
        "name": ["", "my data.csv"],
        "content": ["", "a,b\n1,2\n"],
        "working directory": ["", "[]"],
        "secrets": ["", "[]"],
    }


def test_the_environment_keeps_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 12: the site's keys do not reach the models' processes."""
    monkeypatch.setenv("SITE_SECRET_KEY", "x")
    run = make_claimed("parcel")
    runner.execute(run)
    rows = json.loads(content(Run.objects.get(pk=run.pk)))["rows"]
    assert ["secrets", "", "[]"] in rows


def test_standard_input_is_empty() -> None:
    """A model that reads finds the end of the file instead of our pipe."""
    assert content(run_unruly("reads_input")) == b""


def test_the_working_directory_is_scratch() -> None:
    """What a model writes beside itself is gone with its run."""
    run = run_unruly("writes_into_working_directory")
    assert (run.status, Path(content(run).decode()).exists()) == ("succeeded", False)


def test_another_interpreter(settings: Any) -> None:
    """A model's own interpreter needs neither this library nor Django in its path."""
    bare = os.path.realpath(f"{sys.base_prefix}/bin/python3")
    settings.COMP_CORE = {"PYTHON": bare}
    assert run_unruly("fine").status == "succeeded"


def test_an_interpreter_that_is_not_there(settings: Any) -> None:
    """A wrong path of the interpreter fails the run with words."""
    settings.COMP_CORE = {"PYTHON": "/nowhere/python"}
    run = run_unruly("fine")
    assert (run.status, "/nowhere/python" in run.error_message) == ("failed", True)
