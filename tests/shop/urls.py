"""The admin, and where Stripe sends its events."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("comp_users.urls")),
    path("billing/", include("comp_billing.urls")),
    path("models/", include("comp_core.urls")),
]
