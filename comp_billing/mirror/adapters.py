"""Values as the database driver wants them, cut to what their columns hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from django.db import connections, models
from django.db.backends.base.operations import BaseDatabaseOperations

from comp_billing import shapes
from comp_billing.mirror.clean import storable

Adapter = Callable[[Any], Any]


class Text(str):
    """JSON's text, for a column of JSON: made once, for the check and for the database."""

    __slots__ = ()


def adapter(field: models.Field[Any, Any], using: str) -> Adapter | None:
    """What makes a parameter of a field's value, if there is one; None: it is one as it is."""
    if isinstance(field, models.JSONField):
        return _json
    target = _target(field)
    # Ids have been measured already; see shapes.ref.
    if target.primary_key and getattr(target, "max_length", 0) == shapes.MAX_ID_LENGTH:
        return None
    if isinstance(target, models.CharField) and target.max_length:
        return partial(_cut, target.max_length)
    # The same on every database: SQLite itself would hold more.
    bounds = BaseDatabaseOperations.integer_field_ranges.get(target.get_internal_type())
    if bounds and isinstance(target, models.IntegerField):
        return partial(_bound, *bounds)
    if isinstance(target, models.DateTimeField):
        return partial(_moment, using)
    is_plain = type(target) in (models.TextField, models.BooleanField)
    return None if is_plain else partial(_any, field, using)


def _target(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """The field whose values a foreign key holds; any other field itself."""
    return field.target_field if isinstance(field, models.ForeignKey) else field


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, Text) else storable(value)[1]


def _cut(length: int, value: Any) -> Any:
    return value[:length] if isinstance(value, str) and len(value) > length else value


def _bound(low: int, high: int, value: Any) -> Any:
    if not isinstance(value, int):
        return value
    return value if low <= value <= high else None


# One event has several columns of the same moment.
@lru_cache(maxsize=256)
def _moment(using: str, value: Any) -> Any:
    return connections[using].ops.adapt_datetimefield_value(value)


def _any(field: models.Field[Any, Any], using: str, value: Any) -> Any:
    return field.get_db_prep_save(value, connection=connections[using])
