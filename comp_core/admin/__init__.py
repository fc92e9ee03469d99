"""Runs and workers as operators see them: nothing is edited, verbs are the lifecycle's."""

from comp_core.admin import runs, workers
from comp_core.admin.base import ReadOnlyAdmin

__all__ = ["ReadOnlyAdmin", "runs", "workers"]
