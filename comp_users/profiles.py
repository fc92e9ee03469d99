"""Verbs on profiles: every user has one, however the user came to be."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from comp_users.models import Profile
from comp_users.signals import profile_created

BATCH_SIZE = 500


def ensure_profile(user: Any) -> Profile:
    """The user's profile, created when missing.

    Announces ``profile_created`` in the same transaction, so that whatever a receiver writes
    exists exactly when the profile does.
    """
    with transaction.atomic():
        profile, created = Profile.objects.get_or_create(user=user)
        if created:
            profile_created.send(sender=Profile, profile=profile)
    return profile


def profile_of_new(user: Any) -> Profile:
    """The same for a user who has just been made and so has none, in fewer statements; the user of
    a sign-up waits for them."""
    try:
        with transaction.atomic():
            profile = Profile.objects.create(user=user)
            profile_created.send(sender=Profile, profile=profile)
    except IntegrityError:
        if not Profile.objects.filter(user=user.pk).exists():
            raise
        # Another receiver of the same news was faster.
        return ensure_profile(user)
    return profile


def ensure_all_profiles(*, using: str = "default") -> int:
    """Give every user without a profile one; answers how many were made.

    Users made before the app was installed, by ``bulk_create`` or by raw SQL send no signal.
    """
    users = get_user_model()._default_manager.using(using).filter(profile__isnull=True)
    made = 0
    for user in users.iterator(chunk_size=BATCH_SIZE):
        ensure_profile(user)
        made += 1
    return made
