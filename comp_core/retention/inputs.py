"""Removes inputs that were never run, and the uploads that came with them.

Inputs of a run are what was run: they and their uploads stay as long as the run.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.db import IntegrityError, models, router
from django.db.models import Exists, OuterRef, ProtectedError, Q, QuerySet, RestrictedError
from django.db.models.deletion import Collector
from django.db.models.fields.files import FieldFile

from comp_core.crashpoints import crashpoint, step
from comp_core.db import from_now
from comp_core.declaration import ModelSpec
from comp_core.models import CoreInputs
from comp_core.outputs.files import Tally, Tell, remove, silent, stored_size
from comp_core.registry import registered
from comp_core.retention.outputs import DAY_SECONDS, in_batches
from comp_core.status import InputsStatus

WORDS = "These inputs were not run for a long time and are being removed: fill the form in again."

logger = logging.getLogger("comp_core")


def prune_inputs(days: float, *, dry_run: bool = False, tell: Tell = silent) -> Tally:
    """Remove checked inputs that have no run and were not touched for so many days.

    Those that wait for their check stay. So does a file that other inputs name too, as copies do.
    Inputs are retired before their files go and deleted after: then nobody submits them without
    their files, and an interrupted removal is carried on.
    """
    tally = Tally()
    for spec in registered().values():
        for inputs in in_batches(_unrun(spec, days)):
            _prune(spec, inputs, _unrun(spec, days), tally, dry_run=dry_run)
            tell(tally)
    return tally


def _unrun(spec: ModelSpec, days: float) -> QuerySet[Any]:
    runs = spec.run_model._base_manager.filter(inputs=OuterRef("pk"))
    found: QuerySet[Any] = spec.inputs_model._base_manager.filter(
        ~Exists(runs),
        status__in=[InputsStatus.VALID, InputsStatus.INVALID],
        modified__lt=from_now(-days * DAY_SECONDS),
    )
    return found


def _prune(
    spec: ModelSpec, inputs: CoreInputs, unrun: QuerySet[Any], tally: Tally, *, dry_run: bool
) -> None:
    if _is_protected(inputs) or not (dry_run or _retire(spec, inputs)):
        return
    failed = 0
    for upload in _own_uploads(inputs):
        size = stored_size(upload.storage, upload.name or "")
        if dry_run or remove(upload.storage, upload.name or ""):
            tally.files, tally.bytes = tally.files + 1, tally.bytes + size
        else:
            failed += 1
    tally.failed += failed
    if not failed:
        tally.rows += dry_run or _delete(unrun, inputs)


def _is_protected(inputs: CoreInputs) -> bool:
    """Whether a row of the site's own refers to these inputs and wants to keep them."""
    using = router.db_for_write(type(inputs), instance=inputs)
    try:
        Collector(using=using, origin=inputs).collect([inputs])
    except (ProtectedError, RestrictedError):
        return True
    return False


def _retire(spec: ModelSpec, inputs: CoreInputs) -> bool:
    """Make inputs invalid unless they have a run; a submit waits for us, or we for it."""
    rows = spec.inputs_model._base_manager
    with step("retire_inputs"):
        # Looked at in a statement of its own: what was committed while we waited is seen there.
        locked = rows.select_for_update().filter(pk=inputs.pk, modified=inputs.modified).first()
        if locked is None or spec.run_model._base_manager.filter(inputs=inputs.pk).exists():
            return False
        rows.filter(pk=inputs.pk).update(
            status=InputsStatus.INVALID, errors_warnings={"errors": {NON_FIELD_ERRORS: [WORDS]}}
        )
    return True


def _own_uploads(inputs: CoreInputs) -> list[FieldFile]:
    """The files that these inputs name and no others do; a field's default is the site's own."""
    fields = [f for f in inputs.parameter_fields() if isinstance(f, models.FileField)]
    files: dict[str, FieldFile] = {}
    for field in fields:
        file = getattr(inputs, field.attname)
        if file and file.name != str(field.get_default() or ""):
            files[file.name] = file
    return [file for name, file in files.items() if not _is_shared(inputs, name, fields)]


def _is_shared(inputs: CoreInputs, name: str, fields: list[Any]) -> bool:
    naming = Q()
    for field in fields:
        naming |= Q(**{field.name: name})
    others = type(inputs)._base_manager.exclude(pk=inputs.pk)
    return others.filter(naming).exists()


def _delete(unrun: QuerySet[Any], inputs: CoreInputs) -> int:
    crashpoint("delete_inputs:begin")
    try:
        deleted, _ = unrun.filter(pk=inputs.pk).delete()
    except IntegrityError:
        logger.exception("%s cannot be deleted: a row of the site's own refers to them.", inputs)
        return 0
    crashpoint("delete_inputs:committed")
    return int(bool(deleted))
