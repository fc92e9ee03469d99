"""Settings of the benchmarks: those of the tests, on databases of their own."""

from __future__ import annotations

import os

from benchmarks.bodies.events import SECRET
from comp_core import host
from tests.settings import *  # noqa: F403
from tests.settings import COMP_BILLING, DATABASES, INSTALLED_APPS

ROOT_URLCONF = "benchmarks.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]
# As in deployment; for the rival too.
DATABASES["default"]["CONN_MAX_AGE"] = 60
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    given = DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["OPTIONS"] = {**given, **host.POSTGRES_OPTIONS}
COMP_BILLING = {
    **COMP_BILLING,
    "WEBHOOK_SECRETS": [SECRET],
    "API_BASE": os.environ.get("COMP_BENCH_STRIPE", COMP_BILLING["API_BASE"]),
    # The stub has no limit, and the rival keeps to none.
    "SYNC_REQUESTS_PER_SECOND": float(os.environ.get("COMP_BENCH_PACE", "10000")),
}
