"""Signing up, logging in, and deleting an account."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import AuthenticationForm, BaseUserCreationForm
from django.core.exceptions import FieldDoesNotExist
from django.utils.translation import gettext_lazy as _

User = get_user_model()
ADDRESS_TAKEN = _(
    "This e-mail address cannot be used for a new account. If you have an account, log in."
)


def email_field(user_model: Any) -> str | None:
    """The name of a user model's e-mail field; None when it has no such field."""
    name: str = user_model.get_email_field_name()
    try:
        user_model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return name


class LogInForm(AuthenticationForm):
    """Django's own, with labels as on all our pages."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})


class SignUpForm(BaseUserCreationForm[Any]):
    """Name, e-mail address and password, for whichever user model the site has."""

    class Meta:
        model = User
        fields = tuple(
            dict.fromkeys(name for name in (User.USERNAME_FIELD, email_field(User)) if name)
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.email_name = email_field(User)
        self.fields[User.USERNAME_FIELD].widget.attrs["autocomplete"] = "username"
        if self.email_name:
            self.fields[self.email_name].required = True
            self.fields[self.email_name].widget.attrs["autocomplete"] = "email"
        # A host's own model may ask for no password of ours (an identity provider's account).
        self.fields.pop("usable_password", None)

    def clean(self) -> dict[str, Any]:
        super().clean()
        email = self.cleaned_data.get(self.email_name) if self.email_name else None
        # Two accounts whose addresses differ in case are one person to a mail server.
        if email and User._default_manager.filter(**{f"{self.email_name}__iexact": email}).exists():
            self.refuse_address()
        return self.cleaned_data

    def refuse_address(self) -> None:
        """Say that the address is taken, without saying by whom."""
        self.add_error(self.email_name, forms.ValidationError(ADDRESS_TAKEN, code="unique"))


class DeleteAccountForm(forms.Form):
    """Makes sure that it is the user who asks: the password, or the user name where an account
    elsewhere is what they log in with."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    username = forms.CharField(label=_("Your user name, to confirm"))

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.user = user
        del self.fields["username" if user.has_usable_password() else "password"]

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise forms.ValidationError(_("This is not your password."), code="password")
        return password

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if username != self.user.get_username():
            raise forms.ValidationError(_("This is not your user name."), code="username")
        return username
