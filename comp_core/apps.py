"""App configuration of comp_core."""

from __future__ import annotations

from django.apps import AppConfig


class CompCoreConfig(AppConfig):
    name = "comp_core"
    verbose_name = "COMP runs"
    default_auto_field = "django.db.models.BigAutoField"
