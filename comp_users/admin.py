"""Users, profiles and projects in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from comp_users.models import Profile, Project, User

# Empty limits mean what the site allows everybody.
LIMITS = ("spending_cap", "max_running_runs", "max_queued_runs")
RIGHTS = ("display_name", "is_active", "public_access", "runs_public")
FIELDSETS: Any = [(None, {"fields": RIGHTS}), (_("Limits"), {"fields": LIMITS})]


class ProfileInline(admin.StackedInline[Profile, User]):
    """A user's profile on the user's page; it comes with the user and leaves with the user."""

    model = Profile
    fieldsets = FIELDSETS
    can_delete = False
    extra = 0
    max_num = 0


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
    list_display = ["__str__", "user", "public_access", "is_active", *LIMITS]
    list_filter = ["is_active", "public_access"]
    list_select_related = ["user"]
    raw_id_fields = ["user"]
    search_fields = ["display_name", f"user__{get_user_model().USERNAME_FIELD}"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Profile | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Profile | None = None) -> list[str]:
        return ["user"]


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
