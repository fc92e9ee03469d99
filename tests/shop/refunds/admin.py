"""To look at."""

from django.contrib import admin

from comp_billing.admin import StripeObjectAdmin, amount, related
from refunds.models import Refund


@admin.register(Refund)
class RefundAdmin(StripeObjectAdmin):
    dashboard = "refunds"
    list_display = ["stripe_id", related("charge", "charge"), amount("amount", "amount"), "status"]
    list_select_related = ["charge"]
