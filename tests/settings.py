"""Settings of the test suite: every app, SQLite or (COMP_TEST_DB=postgres) PostgreSQL."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import dj_database_url

from comp_core import host

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "tests-only-tests-only-tests-only-tests-only-50-characters"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.urls"
AUTH_USER_MODEL = "comp_users.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"


def _media() -> str:
    """The directory named by the environment, else one that this process removes at its end."""
    if given := os.environ.get("COMP_TEST_MEDIA"):
        return given
    made, maker = tempfile.mkdtemp(prefix="comp-media-"), os.getpid()

    def remove() -> None:
        # Forked children end too, and leave it.
        if os.getpid() == maker:
            shutil.rmtree(made, ignore_errors=True)

    atexit.register(remove)
    return made


MEDIA_ROOT = _media()
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Django 6.1 and later; before, the test runner's own choice is the same.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *host.APPS,
    "comp_billing",
    "tests.testapp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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


def _database() -> dict[str, Any]:
    if os.environ.get("COMP_TEST_DB", "sqlite") == "postgres":
        # Imported here so that a run on SQLite needs no PostgreSQL wheel.
        from tests.postgres import database_url  # noqa: PLC0415

        return dict(dj_database_url.parse(database_url()))
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("COMP_TEST_SQLITE", ":memory:"),
        "OPTIONS": host.SQLITE_OPTIONS,
    }


DATABASES = {"default": _database()}
TASKS = host.TASKS
COMP_BILLING = {
    "SECRET_KEY": "sk_test_comp",
    "WEBHOOK_SECRETS": ["whsec_tests"],
    "THIN_WEBHOOK_SECRETS": ["whsec_thin_tests"],
    "API_BASE": "http://127.0.0.1:9",
}
