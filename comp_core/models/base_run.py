"""The abstract run that a modelling project subclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage

from comp_core.declaration import check_declaration
from comp_core.models.run import Run


class CoreRun(Run):
    """A run of one model: declares its inputs and, in ``Comp``, where its functions are.

    ::

        class EpidemicRun(CoreRun):
            inputs = models.OneToOneField(EpidemicInputs, models.PROTECT, related_name="run")

            class Comp:
                slug, title, functions = "epidemic", "Epidemic (SIR)", "epidemic.functions"
                server_cost, exp_task_time, is_public = "0.36", 2, True

    ``Comp``: slug, title and functions (dotted path of the module with ``run``) are required;
    server_cost (text or Decimal, currency units per hour), exp_task_time (seconds), is_public,
    overview, description, repository_url, queue, priority, timeout_seconds and python are
    optional and only fill a new Project row.
    """

    if TYPE_CHECKING:
        inputs: Any
        Comp: type[Any]

    class Meta:
        abstract = True

    @classmethod
    def check(cls, **kwargs: Any) -> list[CheckMessage]:
        """Django's own checks of a model, and those of the declaration."""
        return [*super().check(**kwargs), *check_declaration(cls)]
