"""The abstract local row of a Stripe object (a proxy)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q


class LiveManager(models.Manager[Any]):
    """Objects that Stripe has told us about and that still exist there."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(as_of__isnull=False, deleted=False)


class StripeObject(models.Model):
    """One Stripe object as last received, guarded against older news.

    ``data`` is the single truth for everything that has no column. A row whose ``as_of`` is null
    is a placeholder: a parent that was named before it arrived. A row with ``deleted`` is a
    tombstone: never removed, never resurrected. Written by ``comp_billing.mirror`` alone.
    """

    #: Value of the object's ``object`` field at Stripe, e.g. ``"customer"``.
    kind: str
    #: Start of the object's ids, e.g. ``"cus_"``; empty when ids may be chosen freely.
    id_prefix: str = ""
    #: Columns of ours (attnames) that a deleted object gives up, so that a successor may have them.
    tombstone_clears: tuple[str, ...] = ()
    #: Path of Stripe's list of these objects, e.g. ``"customers"`` for ``/v1/customers``, and of
    #: each of them below it. Empty: they can be neither fetched nor listed.
    collection: ClassVar[str] = ""
    #: Parameters with which that list leaves nothing out; several, when only several lists do.
    list_params: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    #: Whether that list may be read as a whole; a subscription's items only come with it.
    is_listed: ClassVar[bool] = True
    #: Whether that list can be asked for what was created since a moment; else it is read whole.
    is_listed_by_created: ClassVar[bool] = True
    #: Whether Stripe forgets such an object when it is deleted, and answers 404 afterwards.
    vanishes: ClassVar[bool] = False

    stripe_id = models.CharField(primary_key=True, max_length=255)
    data = models.JSONField(default=dict)
    livemode = models.BooleanField(default=False)
    api_version = models.CharField(max_length=40, default="")
    # Unix seconds: when Stripe said it (an event's created, a response's Date). Null: placeholder.
    as_of = models.BigIntegerField(null=True, db_index=True)
    # Breaks ties within a second: 0 list, 1 created, 2 other events, 3 deleted.
    rank = models.SmallIntegerField(default=0)
    deleted = models.BooleanField(default=False)
    # When the worker is to fetch the object, because what is here is in doubt: a placeholder, two
    # versions of one second, news in another API version, a truncated list. Null: as Stripe said.
    fetch_at = models.DateTimeField(null=True)
    # Unix seconds: news from up to then does not settle the doubt. Null: any news does.
    doubt_as_of = models.BigIntegerField(null=True)
    # In the database too: code from before the column goes on inserting while it is replaced.
    fetch_attempts = models.PositiveSmallIntegerField(default=0, db_default=0)

    # First, so that lists and reverse relations leave placeholders and tombstones out. Foreign
    # keys are followed through all_objects, the base manager: they may point at either.
    objects = LiveManager()
    all_objects = models.Manager()  # noqa: DJ012 - a manager too, not a field

    class Meta:
        abstract = True
        base_manager_name = "all_objects"
        indexes = [
            models.Index(
                fields=["fetch_at"], condition=Q(fetch_at__isnull=False), name="%(class)s_fetch"
            )
        ]

    def __str__(self) -> str:
        return self.stripe_id

    @property
    def is_placeholder(self) -> bool:
        return self.as_of is None

    @classmethod
    def columns(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Typed columns of this kind, read from an object as received. Keys are attnames.

        Reads through ``comp_billing.shapes`` so that older and newer API shapes work; a missing
        value is None, never an error.
        """
        raise NotImplementedError

    @classmethod
    def embedded(cls, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Children that arrive whole within this object; written after it with its stamp."""
        return []

    @classmethod
    def removes_missing(cls, data: dict[str, Any]) -> type[StripeObject] | None:
        """The kind of child of which ``embedded`` names all there are; the others are gone."""
        return None

    @classmethod
    def is_final(cls, data: dict[str, Any]) -> bool:
        """Whether the object has reached a state that it never leaves: of two versions of one
        second, this is the later."""
        return False
