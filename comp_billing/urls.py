"""Addresses of comp_billing: the webhook, and the pages for people."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from comp_billing.views import webhook

app_name = "comp_billing"
urlpatterns: list[URLPattern | URLResolver] = [
    path("webhook/", webhook, name="webhook"),
    path("", include("comp_billing.page_urls")),
]
