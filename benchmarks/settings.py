"""Settings of the benchmarks: those of the tests, on databases of their own."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]
# As in deployment; for the rival too.
DATABASES["default"]["CONN_MAX_AGE"] = 60
