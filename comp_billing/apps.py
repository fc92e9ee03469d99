"""App configuration of comp_billing."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate


class CompBillingConfig(AppConfig):
    name = "comp_billing"
    verbose_name = "COMP billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from comp_billing.mirror import known

        for signal in (post_migrate, post_delete):
            signal.connect(known.forget, dispatch_uid="comp_billing.known_ids")
