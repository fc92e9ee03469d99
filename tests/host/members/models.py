"""A user model with neither name, e-mail address nor staff, and two that derive from it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class MemberManager(BaseUserManager["Member"]):
    """Makes members by their number."""

    def create_user(self, number: str, password: str | None = None, **values: Any) -> Member:
        member = self.model(number=number, **values)
        member.set_password(password)
        member.save(using=self._db)
        return member


class Member(AbstractBaseUser):
    """Known by a number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    number = models.CharField(max_length=20, unique=True)

    USERNAME_FIELD = "number"

    objects = MemberManager()


class Guest(Member):
    """A proxy."""

    class Meta:
        proxy = True


class Pilot(Member):
    """With a table of its own."""

    licence = models.CharField(max_length=20)
