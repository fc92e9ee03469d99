"""An object as received, on its way into its table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from comp_billing import shapes
from comp_billing.conf import conf
from comp_billing.mirror.adapters import Text
from comp_billing.mirror.clean import storable
from comp_billing.mirror.kinds import KINDS
from comp_billing.mirror.rank import Rank
from comp_billing.models import StripeObject


@dataclass(frozen=True)
class Stamp:
    """When Stripe said something, and in which words."""

    as_of: int
    rank: int
    api_version: str


class Row:
    """One object. ``parent_id``: the object that it came embedded in; ``values``: {attname: value},
    the guard's columns included."""

    __slots__ = ("data", "id", "is_tombstone", "model", "parent_id", "stamp", "values")

    def __init__(
        self,
        model: type[StripeObject],
        data: Mapping[str, Any],
        stamp: Stamp,
        parent_id: str | None = None,
    ) -> None:
        self.data, text = storable(data)
        self.model, self.stamp, self.parent_id = model, stamp, parent_id
        self.id = str(shapes.ref(self.data["id"]))
        self.is_tombstone = self.data.get("deleted") is True
        self.values: dict[str, Any] = {} if self.is_tombstone else model.columns(self.data)
        self.values |= {
            "stripe_id": self.id,
            "data": Text(text),
            "livemode": shapes.flag(self.data.get("livemode"), default=conf.LIVEMODE),
            "api_version": stamp.api_version,
            "as_of": stamp.as_of,
            "rank": Rank.DELETED.value if self.is_tombstone else stamp.rank,
            "deleted": self.is_tombstone,
            "fetch_at": timezone.now() if self._is_cut_off(text) else None,
        }

    def _is_cut_off(self, text: str) -> bool:
        """Whether a list embedded in the object has more entries than are here, and can be had."""
        if '"has_more": true' not in text or self.is_tombstone or not self.model.collection:
            return False
        return bool(shapes.truncated_lists(self.data))

    def embedded(self) -> Iterator[Row]:
        if not self.is_tombstone:
            for data in self.model.embedded(self.data):
                yield from rows_of([data], self.stamp, parent_id=self.id)


def rows_of(
    objects: Iterable[Mapping[str, Any]], stamp: Stamp, *, parent_id: str | None = None
) -> Iterator[Row]:
    """Rows of the objects that are mirrored and have an id; the others are passed over."""
    for given in objects:
        model = KINDS.get(shapes.text(given.get("object")))
        key = shapes.ref(given.get("id"))
        # A preview of an invoice has an id too, but not an invoice's.
        if model is not None and key is not None and key.startswith(model.id_prefix):
            yield Row(model, given, stamp, parent_id)


def column_of(rows: Iterable[Row], kind: str, column: str) -> set[str]:
    """The values of one column of one kind; absent ones left out."""
    found = (row.values.get(column) for row in rows if row.model.kind == kind)
    return {value for value in found if value}
