"""App configuration: a profile follows every user."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db.models.signals import post_migrate, post_save


class CompUsersConfig(AppConfig):
    name = "comp_users"
    verbose_name = "COMP users"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.utils.translation import gettext_lazy as _

        from comp_users.checks import check_settings
        from comp_users.navigation import Link, register, staff
        from comp_users.profiles import ensure_all_profiles, ensure_profile

        def on_user_saved(instance: Any, created: bool, raw: bool, **kwargs: Any) -> None:
            # Fixtures (raw) carry their own profiles; the ones that don't are mended by migrate.
            if created and not raw:
                ensure_profile(instance)

        def on_migrated(using: str, **kwargs: Any) -> None:
            ensure_all_profiles(using=using)

        register(Link(label=_("Admin"), url_name="admin:index", shown=staff, order=90))
        checks.register(check_settings)
        post_save.connect(
            on_user_saved,
            sender=settings.AUTH_USER_MODEL,
            weak=False,
            dispatch_uid="comp_users.profile_for_user",
        )
        post_migrate.connect(
            on_migrated, sender=self, weak=False, dispatch_uid="comp_users.profiles_for_users"
        )
