"""Addresses of the example site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="comp_core:models"), name="home"),
    path("admin/", admin.site.urls),
    path("accounts/", include("comp_users.urls")),
    path("billing/", include("comp_billing.urls")),
    path("models/", include("comp_core.urls")),
]
