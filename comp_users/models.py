"""Who uses the site (User, Profile) and what is offered on it (Project)."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from model_utils.models import TimeStampedModel

from comp_users.access import is_staff
from comp_users.conf import conf


class User(AbstractUser):
    """The user model for sites that have none of their own (``AUTH_USER_MODEL``)."""

    email = models.EmailField(_("email address"))

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"
        constraints = [
            # Two accounts that differ only in the case of the address are one person to a mail
            # server and two customers to Stripe. Accounts without an address are left alone.
            models.UniqueConstraint(
                Lower("email"),
                condition=~Q(email=""),
                name="comp_users_user_email_ci",
                violation_error_message=_("A user with that email address already exists."),
            ),
        ]


def default_run_visibility() -> bool:
    return conf.RUNS_PUBLIC_BY_DEFAULT


class Profile(TimeStampedModel):
    """What a user is to this site beyond logging in. Every user has exactly one."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="profile", verbose_name=_("user")
    )
    display_name = models.CharField(_("display name"), max_length=150, blank=True)
    public_access = models.BooleanField(
        _("may run public projects"),
        default=True,
        help_text=_("Without it the user sees results but cannot submit runs."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    closed_at = models.DateTimeField(
        _("closed"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When the account was deleted: what is left is no person's any more."),
    )
    runs_public = models.BooleanField(_("runs are public"), default=default_run_visibility)
    spending_cap = models.DecimalField(
        _("spending cap per month"),
        max_digits=14,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("In the site's currency; empty means no cap."),
    )
    max_running_runs = models.PositiveIntegerField(
        _("runs at a time"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Further runs wait until one has ended; empty: as the site allows everybody."),
    )
    max_queued_runs = models.PositiveIntegerField(
        _("waiting runs"),
        null=True,
        blank=True,
        help_text=_("Further runs are refused; empty: as the site allows everybody."),
    )

    class Meta:
        constraints = [
            # With none at a time a run would wait for ever.
            models.CheckConstraint(
                condition=Q(max_running_runs__isnull=True) | Q(max_running_runs__gte=1),
                name="comp_users_profile_runs_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(spending_cap__isnull=True) | Q(spending_cap__gte=0),
                name="comp_users_profile_cap_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | Q(is_active=False),
                name="comp_users_profile_closed_is_inactive",
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.user.get_username()

    def may_run(self, project: Project) -> bool:
        """Whether this profile may submit runs of a project; billing has its own say later."""
        if not (self.is_active and self.user.is_active):
            return False
        if project.is_public:
            return self.public_access
        # A host's own user model may know no staff.
        return is_staff(self.user) or project.owner_id == self.pk


class ProjectQuerySet(models.QuerySet["Project"]):
    """Questions asked of the catalogue."""

    def public(self) -> ProjectQuerySet:
        return self.filter(is_public=True)

    def visible_to(self, user: object) -> ProjectQuerySet:
        """Public and listed projects; their own, for owners; all, for staff."""
        if is_staff(user):
            return self.all()
        public = Q(is_public=True, listed=True)
        if getattr(user, "is_authenticated", False):
            return self.filter(public | Q(owner__user=user))
        return self.filter(public)


class Project(TimeStampedModel):
    """A model offered on the site: everything about it that Stripe's product does not hold.

    ``server_cost`` is in currency units per hour; ``exp_task_time`` in seconds. A model's ``Comp``
    declaration fills a new row; afterwards the row is the truth.
    """

    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("slug"), max_length=80, unique=True)
    owner = models.ForeignKey(
        Profile, models.PROTECT, null=True, blank=True, related_name="projects"
    )
    sponsor = models.ForeignKey(
        Profile,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="sponsored_projects",
        help_text=_("Pays for everybody's runs of this project; empty: each owner of a run pays."),
    )
    overview = models.CharField(_("overview"), max_length=300, blank=True)
    description = models.TextField(_("description"), blank=True, help_text=_("Markdown."))
    repository_url = models.URLField(_("repository"), blank=True)
    is_public = models.BooleanField(_("public"), default=False)
    listed = models.BooleanField(_("listed"), default=True)
    server_cost = models.DecimalField(
        _("server cost per hour"), max_digits=12, decimal_places=6, null=True, blank=True
    )
    exp_task_time = models.PositiveIntegerField(_("expected run time in seconds"), default=60)
    upstream_version = models.CharField(_("upstream version"), max_length=200, blank=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(is_public=False) | Q(server_cost__isnull=False),
                name="comp_users_project_public_has_rate",
                violation_error_message=_("A public project needs a server cost."),
            ),
            models.CheckConstraint(
                condition=Q(server_cost__isnull=True) | Q(server_cost__gte=0),
                name="comp_users_project_rate_not_negative",
                violation_error_message=_("The server cost cannot be negative."),
            ),
        ]

    def __str__(self) -> str:
        return self.name
