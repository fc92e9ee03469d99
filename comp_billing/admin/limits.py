"""What payers may still spend, in the admin: money held, what is left of credit, cap warnings."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.contrib.auth import get_user_model
from django.utils.translation import gettext_lazy as _

from comp_billing.admin.columns import amount, link, related, second
from comp_billing.admin.large import LargeTableAdmin
from comp_billing.models import CapWarning, CreditBalance, Reservation
from comp_core.admin.base import moment
from comp_core.models import Run

USERNAME = get_user_model().USERNAME_FIELD
OF_PAYER = ("payer__display_name", f"payer__user__{USERNAME}")


@admin.register(Reservation)
class ReservationAdmin(LargeTableAdmin):
    """Money held back for runs under way."""

    list_display = [
        "pk",
        "of_run",
        "payer",
        "amount",
        "settled_amount",
        moment("settled_at", _("settled")),
        related("subscription_item", _("item")),
        moment("created", _("created")),
    ]
    list_select_related = ["payer__user"]
    ordering = ["-pk"]
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = OF_PAYER
    exact = ("subscription_item",)

    @display(description=_("run"))
    def of_run(self, reservation: Reservation) -> str:
        return link(Run, reservation.run_id, str(reservation.run_id)[:8])


@admin.register(CapWarning)
class CapWarningAdmin(LargeTableAdmin):
    """How near payers came to their caps, and when they were told."""

    list_display = [
        "pk",
        "__str__",
        "payer",
        "spent",
        "cap",
        moment("period_start", _("period from")),
        moment("created", _("passed")),
        moment("sent_at", _("told")),
    ]
    list_filter = ["percent"]
    list_select_related = ["payer__user"]
    ordering = ["-pk"]
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = OF_PAYER


@admin.register(CreditBalance)
class CreditBalanceAdmin(LargeTableAdmin):
    """What is left of each customer's credit grants, by Stripe's last word."""

    list_display = [
        related("customer", _("customer")),
        amount("available", _("left")),
        second("as_of", _("as of")),
    ]
    list_display_links = None
    ordering = ["pk"]
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = ["=customer__stripe_id", f"customer__user__{USERNAME}"]
