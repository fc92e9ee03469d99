"""Sign-up, log-in, the user's own page, and the way out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout, views
from django.contrib.auth.decorators import login_required
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from comp_users.closing import close
from comp_users.conf import conf
from comp_users.exceptions import AccountInUse
from comp_users.forms import DeleteAccountForm, LogInForm, SignUpForm
from comp_users.models import Profile
from comp_users.pages import frame, render_page

BACKEND = "django.contrib.auth.backends.ModelBackend"


class LogInView(views.LoginView):
    """Log-in by user name and password."""

    template_name = "comp_users/login.html"
    authentication_form = LogInForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), **frame()}


class LogOutView(views.LogoutView):
    """Log-out, by POST alone; shows the log-in page unless the site says where to go."""

    def get_default_redirect_url(self) -> str:
        return resolve_url(settings.LOGOUT_REDIRECT_URL or "comp_users:login")


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account and log in to it. 404 where the site is closed to newcomers."""
    if not conf.SIGN_UP_OPEN:
        raise Http404
    if request.user.is_authenticated:
        return redirect(_next_url(request))
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _create(request, form):
        return redirect(_next_url(request))
    context = {"form": form, "next": request.POST.get("next", request.GET.get("next", ""))}
    return render_page(request, "comp_users/signup.html", context)


def _create(request: HttpRequest, form: SignUpForm) -> bool:
    """Whether the account could be made: somebody may have taken the address just now."""
    try:
        with transaction.atomic():
            user = form.save()
    except IntegrityError:
        form.refuse_address()
        return False
    login(request, user, backend=BACKEND)
    return True


def _next_url(request: HttpRequest) -> str:
    url = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return url
    return resolve_url(views.LoginView().get_default_redirect_url())


@login_required
@require_safe
def profile(request: HttpRequest) -> HttpResponse:
    """What the site knows about the user."""
    own = Profile.objects.get(user=request.user.pk)
    return render_page(request, "comp_users/profile.html", {"profile": own})


@sensitive_post_parameters()
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete_account(request: HttpRequest) -> HttpResponse:
    """Say what deleting the account means; by POST with the password do it, and log out."""
    form = DeleteAccountForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            close(Profile.objects.get(user=request.user.pk))
        except AccountInUse as exc:
            form.add_error(None, str(exc))
        else:
            logout(request)
            return render_page(request, "comp_users/account_deleted.html", {})
    return render_page(request, "comp_users/delete_account.html", {"form": form})
