"""Deleting an account: what is a person's goes, what has been run, used and billed stays."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models, transaction
from django.utils import timezone

from comp_users.conf import conf
from comp_users.forms import email_field
from comp_users.models import Profile

#: Takes part in the transaction that closes an account; raises AccountInUse to prevent it.
Step = Callable[[Profile], None]

_steps: dict[str, Step] = {}
# Their rows hold addresses and names from elsewhere, and an address there blocks a new sign-up.
LOGIN_ROWS = (
    ("allauth.account", "account", "EmailAddress"),
    ("allauth.socialaccount", "socialaccount", "SocialAccount"),
)


def register_step(name: str, step: Step) -> None:
    """Have ``step`` called with each profile that is being closed, before it is anonymised; call
    this in ``AppConfig.ready``. Registering a name again replaces its step."""
    _steps[name] = step


def close(profile: Profile) -> bool:
    """Delete an account: anonymise and deactivate it for ever; False when that was done before.

    The rows of user and profile stay, and with them runs, usage and invoices. Everything that
    registered steps write is in the same transaction. Raises AccountInUse, nothing written.
    """
    with transaction.atomic():
        locked = Profile.objects.select_for_update(of=("self",)).select_related("user")
        own = locked.get(pk=profile.pk)
        if own.closed_at is not None:
            return False
        for step in _steps.values():
            step(own)
        _remove_logins(own.user)
        _rename_in_log(own.user, str(own.user.pk))
        _anonymise(own.user)
        own.display_name, own.is_active, own.closed_at = "", False, timezone.now()
        own.save(update_fields=["display_name", "is_active", "closed_at", "modified"])
    return True


def _anonymise(user: Any) -> None:
    """Overwrite whatever of these a host's own user model has. The new password ends sessions."""
    token = secrets.token_hex(8)
    for name in (type(user).USERNAME_FIELD, email_field(type(user)), *conf.PERSONAL_FIELDS):
        if name and (field := _field(user, name)):
            setattr(user, name, _blank(field, token))
    for name in ("is_active", "is_staff", "is_superuser"):
        if _field(user, name):
            setattr(user, name, False)
    user.set_unusable_password()
    user.save()
    for name in ("groups", "user_permissions"):
        if _field(user, name):
            getattr(user, name).clear()


def _field(user: Any, name: str) -> Any:
    """A field of the user's model; None when it has none of that name (``is_active`` may be a
    mere attribute)."""
    try:
        return user._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _blank(field: Any, token: str) -> Any:
    """What an anonymous user has in a field: nothing, or where nothing would collide or is not
    allowed, a word that belongs to nobody."""
    is_key = field.unique or field.name == field.model.USERNAME_FIELD
    if field.null:
        return None
    if not isinstance(field, models.CharField | models.TextField | models.FileField):
        return field.get_default()
    if not is_key:
        return ""
    if isinstance(field, models.EmailField):
        return f"{token}@deleted.invalid"
    return f"deleted-{token}"[-(field.max_length or 150) :]


def _remove_logins(user: Any) -> None:
    """Confirmed addresses and accounts elsewhere by which the user could log in, if the site has
    django-allauth."""
    for app, label, name in LOGIN_ROWS:
        if apps.is_installed(app):
            apps.get_model(label, name)._default_manager.filter(user=user).delete()


def _rename_in_log(user: Any, name: str) -> None:
    """Django's admin keeps the user's name in its log of changes to the user."""
    if not apps.is_installed("django.contrib.admin"):
        return
    content_type: Any = apps.get_model("contenttypes", "ContentType")
    for about in (user, user.profile):
        kind = content_type.objects.get_for_model(about)
        entries = apps.get_model("admin", "LogEntry")._default_manager.filter(
            content_type=kind, object_id=str(about.pk)
        )
        entries.update(object_repr=name)
