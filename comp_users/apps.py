"""App configuration: a profile follows every user."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth import get_user_model
from django.core import checks
from django.db.models.signals import post_migrate, post_save


def _has_tables(apps: Any, *models: Any) -> bool:
    there = {(model._meta.app_label, model._meta.model_name) for model in apps.get_models()}
    return all((model._meta.app_label, model._meta.model_name) in there for model in models)


class CompUsersConfig(AppConfig):
    name = "comp_users"
    verbose_name = "COMP users"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.utils.translation import gettext_lazy as _

        from comp_users.access import is_staff
        from comp_users.checks import check_settings
        from comp_users.models import Profile
        from comp_users.navigation import Link, register
        from comp_users.profiles import ensure_all_profiles, profile_of_new

        user_model = get_user_model()

        def on_saved(instance: Any, created: bool, raw: bool, **kwargs: Any) -> None:
            # Fixtures (raw) carry their own profiles; the ones that don't are mended by migrate.
            if created and not raw and isinstance(instance, user_model):
                profile_of_new(instance)

        def on_migrated(using: str, apps: Any = None, **kwargs: Any) -> None:
            # After a migration backwards there may be no table. A flush sends no state.
            if apps is None or _has_tables(apps, Profile, user_model):
                ensure_all_profiles(using=using)

        register(Link(label=_("Admin"), url_name="admin:index", shown=is_staff, order=90))
        checks.register(check_settings)
        # From every sender: a proxy or a child of the user model sends its own name only.
        post_save.connect(
            on_saved,
            weak=False,
            dispatch_uid="comp_users.profile_for_user",
        )
        post_migrate.connect(
            on_migrated, sender=self, weak=False, dispatch_uid="comp_users.profiles_for_users"
        )
