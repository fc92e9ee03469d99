"""How far Stripe's lists have been read, kind by kind, and what the reading at hand has seen."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Sync(models.Model):
    """The reading of one kind's list. Interrupted, it goes on after ``cursor``."""

    #: Value of the objects' ``object`` field at Stripe, e.g. ``"customer"``.
    kind = models.CharField(primary_key=True, max_length=100)
    # Somebody wants the whole list read; the worker does it. Null: nobody does.
    requested_at = models.DateTimeField(null=True)
    # One reader at a time: whoever holds the token, until its lease ends.
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    # The reading under way, or the last one. Null: none has begun.
    started_at = models.DateTimeField(null=True)
    # Unix seconds of Stripe's clock, when the first page was answered. What Stripe said before, and
    # what arrives later, is in doubt: the reading may have seen the row since, and not written it.
    as_of = models.BigIntegerField(null=True)
    # Unix seconds: only objects created since then are asked for. Null: all of them.
    created_gte = models.BigIntegerField(null=True)
    # Whether rows are written though they say nothing new, to fill columns that are new here.
    rewrites = models.BooleanField(default=False)
    # How many objects were here when it began.
    known = models.PositiveIntegerField(default=0)
    # Which of the kind's lists is being read: an index of its ``list_params``.
    part = models.PositiveSmallIntegerField(default=0, db_default=0)
    # Id of the last object read of it; empty before its first page.
    cursor = models.CharField(max_length=255, blank=True)
    listed = models.PositiveIntegerField(default=0)
    written = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    # Unix seconds of Stripe's clock: when the last whole reading to come to its end began. It
    # raises the same doubt, while another reading has not come to its first page.
    complete_as_of = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["kind"]
        constraints = [
            models.CheckConstraint(
                condition=Q(lease_token__isnull=True, lease_expires_at__isnull=True)
                | Q(lease_token__isnull=False, lease_expires_at__isnull=False),
                name="comp_billing_sync_lease",
            )
        ]

    def __str__(self) -> str:
        return self.kind


class MirroredAccount(models.Model):
    """The account of Stripe's that is mirrored here, in one of its modes: one row, made by the
    first reading. Another key is refused, to which everything here would look gone."""

    number = models.PositiveSmallIntegerField(primary_key=True, default=1)
    #: Stripe's id, ``acct_…``.
    stripe_id = models.CharField(max_length=255)
    # Both modes of an account have its id, and no object in common.
    livemode = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(number=1), name="comp_billing_one_account")
        ]

    def __str__(self) -> str:
        return self.stripe_id


class SyncPage(models.Model):
    """The ids on one page of the whole reading under way: what no page names is asked for.

    Page 0 is of the last whole reading: what no list named, and was asked for then or before. What
    of it is still here exists though Stripe lists it nowhere, such as a price made within a
    subscription; it is asked for again when Stripe has said nothing of it for a while.
    """

    sync = models.ForeignKey(Sync, models.CASCADE, related_name="pages")
    number = models.PositiveIntegerField()
    part = models.PositiveSmallIntegerField(default=0, db_default=0)
    ids = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sync", "number"], name="comp_billing_sync_page")
        ]

    def __str__(self) -> str:
        return f"{self.sync_id} {self.number}"
