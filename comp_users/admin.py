"""Users, profiles and projects in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from comp_users.closing import close
from comp_users.exceptions import AccountInUse
from comp_users.models import Profile, Project, User

# Empty limits mean what the site allows everybody.
LIMITS = ("spending_cap", "max_running_runs", "max_queued_runs")
RIGHTS = ("display_name", "is_active", "public_access", "runs_public")
FIELDSETS: Any = [(None, {"fields": RIGHTS}), (_("Limits"), {"fields": LIMITS})]


def locked_fields(profile: Profile | None) -> list[str]:
    """An account that was deleted stays so."""
    return ["is_active"] if profile and profile.closed_at else []


class ProfileInline(admin.StackedInline[Profile, User]):
    """A user's profile on the user's page; it comes with the user and leaves with the user."""

    model = Profile
    fieldsets = FIELDSETS
    can_delete = False
    extra = 0
    max_num = 0

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return locked_fields(getattr(obj, "profile", None))


class UserAdmin(DjangoUserAdmin[User]):
    """The library's own user model; hosts with their own register it themselves."""

    inlines = [ProfileInline]
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "password1", "password2")}),
    )

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[Any]:
        # A new user's profile is made when the user is saved; a second one would collide.
        return [ProfileInline] if obj else []


if get_user_model() is User:
    admin.site.register(User, UserAdmin)


@admin.register(Profile)
class ProfileAdmin(admin.ModelAdmin[Profile]):
    """Who may run, and within which limits."""

    fieldsets = [(None, {"fields": ("user", *RIGHTS)}), *FIELDSETS[1:]]
    list_display = ["__str__", "user", "public_access", "is_active", "closed_at", *LIMITS]
    list_filter = ["is_active", "public_access", ("closed_at", admin.EmptyFieldListFilter)]
    actions = ["delete_accounts"]
    list_select_related = ["user"]
    raw_id_fields = ["user"]
    search_fields = ["display_name", f"user__{get_user_model().USERNAME_FIELD}"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Profile | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Profile | None = None) -> list[str]:
        return ["user", *locked_fields(obj)]

    @admin.action(
        description=_("Delete the accounts: remove what is personal, bill what is left"),
        permissions=["change"],
    )
    def delete_accounts(self, request: HttpRequest, queryset: QuerySet[Profile]) -> None:
        """Close each; say which cannot be closed now, and why."""
        closed = 0
        for profile in queryset.exclude(user=request.user.pk).select_related("user"):
            name = str(profile)
            try:
                closed += close(profile)
            except AccountInUse as exc:
                self.message_user(request, f"{name}: {exc}", messages.WARNING)
        if queryset.filter(user=request.user.pk).exists():
            text = _("Your own account is deleted on its page, with your password.")
            self.message_user(request, text, messages.WARNING)
        told = ngettext("%(count)d account deleted.", "%(count)d accounts deleted.", closed)
        self.message_user(request, told % {"count": closed})


class ProjectForm(forms.ModelForm[Project]):
    """Says what a public project needs at the field that lacks it."""

    # Declared, because Django 5.2 warns of its old default scheme otherwise.
    repository_url = forms.URLField(label=_("repository"), required=False, assume_scheme="https")

    class Meta:
        model = Project
        fields = [
            "name",
            "slug",
            "owner",
            "sponsor",
            "overview",
            "description",
            "repository_url",
            "is_public",
            "listed",
            "server_cost",
            "exp_task_time",
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("is_public") and data.get("server_cost") is None:
            message = _(
                "A public project needs a server cost, in currency units per hour: "
                "enter one (0 is free), or make the project private."
            )
            if "server_cost" not in self.errors:
                self.add_error("server_cost", message)
        return data


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin[Project]):
    """What is offered. The slug is the model's address and its name at the meter: it stays."""

    form = ProjectForm
    list_display = ["name", "slug", "is_public", "listed", "server_cost", "sponsor"]
    list_filter = ["is_public", "listed"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    raw_id_fields = ["owner", "sponsor"]

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> list[str]:
        return ["slug"] if obj else []

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Project | None = None
    ) -> dict[str, Any]:
        return {} if obj else dict(self.prepopulated_fields)
