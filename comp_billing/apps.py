"""App configuration of comp_billing."""

from __future__ import annotations

from django.apps import AppConfig


class CompBillingConfig(AppConfig):
    name = "comp_billing"
    verbose_name = "COMP billing"
    default_auto_field = "django.db.models.BigAutoField"
