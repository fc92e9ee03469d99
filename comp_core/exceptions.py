"""The error tree of comp_core: each docstring is the message and names the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comp_core.models import Run


class CompError(Exception):
    """The request could not be carried out."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class RunRefused(CompError):
    """This run cannot be started now."""

    #: The run that the meter refused, which was rolled back; None when it came to none.
    run: Run | None = None


class RunHasEnded(CompError):
    """A run that has ended never changes: copy its inputs to run them again."""


class RunIsNotRunning(CompError):
    """Only a running run can be given up: cancel one that waits."""


class InputsNotValid(CompError):
    """Only checked and valid inputs can be submitted: correct the errors and submit again."""


class InputsFrozen(CompError):
    """Inputs that have a run never change: copy them to run with other values."""


class UnknownModel(CompError):
    """No installed app declares a model with this slug: add its app to INSTALLED_APPS."""


class InputsNotRead(CompError):
    """An uploaded file could not be read; nothing was charged. Run it again later."""


class OutputsNotStored(CompError):
    """The outputs could not be stored; nothing was charged. Run it again later."""


class OutputsPruned(CompError, FileNotFoundError):
    """The files of this run were removed, as this site does after a time: run it again."""
