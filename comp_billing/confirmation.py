"""When a user becomes a customer at Stripe: at sign-up, or later.

A site that is open to everybody is open to robots too; what they sign up need not reach Stripe.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from comp_billing.conf import conf
from comp_billing.models import FirstRun
from comp_users.models import Profile


class BaseAdmission:
    """A rule. Name a subclass in ``COMP_BILLING["CUSTOMER_WHEN"]``."""

    #: Whether ``admit`` leaves nobody out, so that it need not be asked.
    admits_everybody: bool = False
    #: Whether that somebody wanted to run something is written down for ``admit``.
    waits_for_first_run: bool = False

    def admit(self, profiles: QuerySet[Profile]) -> QuerySet[Profile]:
        """Those of the profiles that may have a customer. Narrows the query; asks nothing."""
        raise NotImplementedError

    def refusal(self) -> str:
        """Why somebody who is not admitted cannot run anything yet, and what to do."""
        return _("Your billing account is being set up. Please try again in a minute.")


class Everybody(BaseAdmission):
    """A customer for every user, at sign-up."""

    admits_everybody = True

    def admit(self, profiles: QuerySet[Profile]) -> QuerySet[Profile]:
        return profiles


class ConfirmedEmail(BaseAdmission):
    """Once an e-mail address is confirmed, as django-allauth keeps it. A site that keeps it
    elsewhere names its own table in a subclass."""

    #: App label and name of a model with a foreign key ``user``.
    model: tuple[str, str] = ("account", "EmailAddress")
    #: What its rows have to be like.
    condition: dict[str, Any] = {"verified": True}

    def admit(self, profiles: QuerySet[Profile]) -> QuerySet[Profile]:
        addresses = apps.get_model(*self.model)._default_manager.filter(**self.condition)
        return profiles.filter(Exists(addresses.filter(user=OuterRef("user"))))

    def refusal(self) -> str:
        return _(
            "Please confirm your e-mail address first: follow the link in the message that was sent"
            " to you. Your billing account is set up within a minute after that."
        )


class AfterFirstRun(BaseAdmission):
    """Once the user wants to run something that is billed."""

    waits_for_first_run = True

    def admit(self, profiles: QuerySet[Profile]) -> QuerySet[Profile]:
        return profiles.filter(Exists(FirstRun.objects.filter(profile=OuterRef("pk"))))


def get_admission() -> BaseAdmission:
    """The rule that ``COMP_BILLING["CUSTOMER_WHEN"]`` names; read live."""
    admission: Any = import_string(conf.CUSTOMER_WHEN)
    return admission()  # type: ignore[no-any-return]  # the system check holds it to BaseAdmission


def is_admitted(profile: Profile) -> bool:
    """Whether a profile may have a customer by now; without a query if everybody may."""
    admission = get_admission()
    if admission.admits_everybody:
        return True
    return admission.admit(Profile.objects.filter(pk=profile.pk)).exists()
