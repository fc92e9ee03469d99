"""A site that bills, and mirrors a further kind of Stripe object."""

from __future__ import annotations

import os

import dj_database_url

from comp_core.host import APPS, SQLITE_OPTIONS, TASKS  # noqa: F401  # TASKS is a setting

SECRET_KEY = "tests-only-tests-only-tests-only-tests-only-50-characters"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
AUTH_USER_MODEL = "comp_users.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *APPS,
    "comp_billing",
    "refunds",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
COMP_BILLING = {
    "SECRET_KEY": "sk_test_shop",
    "WEBHOOK_SECRETS": ["whsec_shop"],
    "THIN_WEBHOOK_SECRETS": ["whsec_thin"],
}
