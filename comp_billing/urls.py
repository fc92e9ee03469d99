"""Addresses of comp_billing: the webhooks, and the pages for people."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from comp_billing.views import thin_webhook, webhook

app_name = "comp_billing"
urlpatterns: list[URLPattern | URLResolver] = [
    path("webhook/", webhook, name="webhook"),
    path("webhook/thin/", thin_webhook, name="thin_webhook"),
    path("", include("comp_billing.page_urls")),
]
