"""Fixtures of the tests of runs."""

from __future__ import annotations

from tests.core.meters import notes

__all__ = ["notes"]
