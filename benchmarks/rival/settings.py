"""dj-stripe as its documentation sets it up; all else as in the settings of our own side."""

from __future__ import annotations

import json
import os

from benchmarks.rival import TEST_KEY

SECRET_KEY = "benchmarks-only-benchmarks-only-benchmarks-only-50-characters"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "benchmarks.rival.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "djstripe",
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
# Word for word what our own side has, but for the name.
DATABASES = {"default": json.loads(os.environ["COMP_BENCH_DATABASE"])}

STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = TEST_KEY
STRIPE_API_HOST = os.environ["COMP_BENCH_STRIPE"]
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
