"""Settings of the example site, taken from the environment; secrets have no other source.

COMP_DEMO_DIR (data of the demo), SECRET_KEY, DEBUG, ALLOWED_HOSTS, DATABASE_URL, MEDIA_ROOT,
SITE_URL, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRETS and STRIPE_THIN_WEBHOOK_SECRETS
(comma-separated), STRIPE_API_BASE, STRIPE_LIVEMODE, COMP_CLOCK, EMAIL_HOST, DEFAULT_FROM_EMAIL,
BEHIND_PROXY, LOG_LEVEL.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import Any

import dj_database_url
import django
from django.core.exceptions import ImproperlyConfigured

from comp_core.host import APPS, SQLITE_OPTIONS, TASKS

__all__ = ["TASKS"]

BASE_DIR = Path(__file__).resolve().parent.parent


def writable(folder: Path) -> Path:
    """The folder, made if it is missing. Raises ImproperlyConfigured when it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ImproperlyConfigured(
            f"The site cannot keep its data in {folder}: {error.strerror}. "
            "Name a folder that can be written to in the environment: COMP_DEMO_DIR=…"
        ) from error
    return folder


DEMO_DIR = writable(Path(os.environ.get("COMP_DEMO_DIR") or BASE_DIR / ".demo"))


def flag(name: str, *, default: bool = False) -> bool:
    """A yes or no from the environment; "False" and "0" are no, as anyone would expect."""
    value = os.environ.get(name, "").strip().lower()
    if value in {"", "1", "true", "yes", "on", "0", "false", "no", "off"}:
        return value in {"1", "true", "yes", "on"} if value else default
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def listed(name: str) -> list[str]:
    """Comma-separated values from the environment; blanks are dropped."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def kept_secret(path: Path) -> str:
    """A random secret of this machine, made at the first call and kept in a file of its owner's."""
    if not path.exists():
        # Two processes may start at once: the one that creates the file decides.
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(50))
    return path.read_text()


DEBUG = flag("DEBUG")
SECRET_KEY = os.environ.get("SECRET_KEY") or kept_secret(DEMO_DIR / "secret_key")

SITE_URL = os.environ.get("SITE_URL", "")
ALLOWED_HOSTS = listed("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [SITE_URL] if SITE_URL.startswith("https://") else []
INTERNAL_IPS = ["127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *APPS,
    "comp_billing",
    "example_site",
    "descriptive",
    "epidemic",
    "compound",
    "demo",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "example_site.middleware.content_security_policy",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "example_site.context.payments",
            ]
        },
    }
]
ROOT_URLCONF = "example_site.urls"
WSGI_APPLICATION = "example_site.wsgi.application"

DATABASES: dict[str, Any] = {
    "default": dj_database_url.config(default=f"sqlite:///{DEMO_DIR / 'site.sqlite3'}")
}
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "comp_users.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "comp_users:login"
LOGIN_REDIRECT_URL = "comp_core:models"
LOGOUT_REDIRECT_URL = "comp_core:models"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DEMO_DIR / "static"
# Uploads and outputs are private: no URL serves this directory; the views hand them out.
MEDIA_ROOT = os.environ.get("MEDIA_ROOT") or DEMO_DIR / "media"

# Behind https everything is sent over https only; the demo on localhost is plain http.
HTTPS = SITE_URL.startswith("https://")
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("BEHIND_PROXY") else None
SECURE_HSTS_SECONDS = 30 * 86_400 if HTTPS else 0
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Without https this is the demo, whose mails are files that can be read without a mail server.
MAIL_BACKEND = f"django.core.mail.backends.{'smtp' if HTTPS else 'filebased'}.EmailBackend"
EMAIL_SERVER = os.environ.get("EMAIL_HOST") or "localhost"
if django.VERSION >= (6, 1):
    place = {"host": EMAIL_SERVER} if HTTPS else {"file_path": DEMO_DIR / "mail"}
    MAILERS = {"default": {"BACKEND": MAIL_BACKEND, "OPTIONS": place}}
else:
    EMAIL_BACKEND = MAIL_BACKEND
    EMAIL_HOST = EMAIL_SERVER
    EMAIL_FILE_PATH = DEMO_DIR / "mail"
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "models@localhost")

STRIPE_SECRET_KEY = os.environ.get("STRIPE_SECRET_KEY", "")
COMP_USERS = {"BASE_TEMPLATE": "example_site/base.html"}
COMP_CORE: dict[str, Any] = {}
if STRIPE_SECRET_KEY:
    COMP_CORE["METER"] = "comp_billing.metering.StripeMeter"
COMP_BILLING: dict[str, Any] = {
    "SECRET_KEY": STRIPE_SECRET_KEY,
    "WEBHOOK_SECRETS": listed("STRIPE_WEBHOOK_SECRETS"),
    "THIN_WEBHOOK_SECRETS": listed("STRIPE_THIN_WEBHOOK_SECRETS"),
    "API_BASE": os.environ.get("STRIPE_API_BASE") or "https://api.stripe.com",
    "LIVEMODE": flag("STRIPE_LIVEMODE"),
    "CURRENCY": "usd",
    "SITE_URL": SITE_URL,
}
if os.environ.get("COMP_CLOCK"):
    COMP_BILLING["CLOCK"] = os.environ["COMP_CLOCK"]

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
}
