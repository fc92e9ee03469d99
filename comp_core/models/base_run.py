"""The abstract run that a modelling project subclasses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage
from django.db import models

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
    overview, description and repository_url are optional and only fill a new Project row.
    queue, priority, timeout_seconds and python are optional too and read at every run.
    """

    if TYPE_CHECKING:
        inputs: Any
        Comp: type[Any]

    # Django's own link would be Run.<class name>: two apps with an EpidemicRun would clash, and a
    # run class called Owner would clash with a field of Run.
    run_ptr = models.OneToOneField(
        Run,
        models.CASCADE,
        parent_link=True,
        primary_key=True,
        auto_created=True,
        related_name="%(app_label)s_%(class)s",
    )

    class Meta:
        abstract = True

    @classmethod
    def check(cls, **kwargs: Any) -> list[CheckMessage]:
        """Django's own checks of a model, and those of the declaration."""
        return [*super().check(**kwargs), *check_declaration(cls)]
