"""The model author's contract kit: does my model keep its side, without a site around it?"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError

from comp_core.conf import conf
from comp_core.declaration import ModelSpec
from comp_core.execution import bad_outcome, start_model
from comp_core.jobs import Scratch, Task, scratch_directory
from comp_core.models import CoreInputs
from comp_core.process import Ending, Progress
from comp_core.registry import get_spec

__all__ = ["CheckedModel", "ContractBroken", "check_model"]


class ContractBroken(AssertionError):
    """The model does not keep the contract; the message says in which step and how."""


@dataclass(frozen=True)
class CheckedModel:
    """What a model did: its version, its seconds, its prints, and its outputs.

    Each output is a dict of kind, title, filename and content (bytes, as they would be stored).
    """

    version: str
    seconds: Decimal
    outputs: list[dict[str, Any]]
    prints: str


def check_model(slug: str, inputs: dict[str, Any] | None = None) -> CheckedModel:
    """Check and run a model with these parameters in a process of its own, as a worker would.

    Needs no rows. Parameters left out have their defaults; a FileField takes a Django ``File``.
    Raises UnknownModel, or ContractBroken with the words that a user would read.
    """
    spec = get_spec(slug)
    parameters = _parameters(spec, inputs or {})
    with scratch_directory() as scratch:
        answer = _answer(_start("check", spec, parameters, scratch), "validate()")
        if answer["errors"]:
            raise ContractBroken(f"validate() refuses the inputs: {answer['errors']}")
    with scratch_directory() as scratch:
        ending = _start("run", spec, parameters, scratch)
        answer = _answer(ending, "run()")
        return CheckedModel(
            version=answer["version"],
            seconds=Decimal(str(answer["seconds"])),
            outputs=[_with_content(entry, scratch) for entry in answer["outputs"]],
            prints=ending.tail,
        )


def _parameters(spec: ModelSpec, values: dict[str, Any]) -> CoreInputs:
    try:
        inputs: CoreInputs = spec.inputs_model(**values)
        inputs.clean_fields(exclude=["owner"])
    except (ValidationError, TypeError) as error:
        raise ContractBroken(f"The fields of {spec.slug} refuse the inputs: {error}") from error
    return inputs


def _start(task: Task, spec: ModelSpec, inputs: CoreInputs, scratch: Scratch) -> Ending:
    limit = spec.deadline_seconds if task == "run" else conf.CHECK_SECONDS
    return start_model(task, spec, inputs, scratch, deadline_seconds=limit, watch=_go_on)


def _go_on(progress: Progress) -> None:
    return None


def _answer(ending: Ending, step: str) -> dict[str, Any]:
    answer = ending.answer or {}
    if answer.get("type") != "done":
        outcome = bad_outcome(ending)
        raise ContractBroken(
            f"{step} failed: {outcome.error_message}\n{outcome.traceback or outcome.stdout_tail}"
        )
    return answer


def _with_content(entry: dict[str, Any], scratch: Scratch) -> dict[str, Any]:
    kept = {key: value for key, value in entry.items() if key != "file"}
    return {**kept, "content": (scratch.outputs / entry["file"]).read_bytes()}
