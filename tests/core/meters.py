"""Meters for tests: one that notes what it is told, one that breaks."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from comp_core.metering import NullMeter
from comp_core.models import Run


class Noting(NullMeter):
    """A meter that notes what it is told."""

    notes: list[tuple[str, uuid.UUID]] = []

    def record(self, run: Run) -> None:
        self.notes.append(("record", run.pk))

    def release(self, run: Run) -> None:
        self.notes.append(("release", run.pk))


class Failing(NullMeter):
    """A meter that breaks."""

    def record(self, run: Run) -> None:
        raise RuntimeError("The meter broke.")


@pytest.fixture
def notes(settings: Any) -> list[tuple[str, uuid.UUID]]:
    """What the meter was told."""
    settings.COMP_CORE = {"METER": f"{__name__}.Noting"}
    Noting.notes = []
    return Noting.notes
