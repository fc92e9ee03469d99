"""The same settings on PostgreSQL: ``pytest --ds=tests.settings_postgres``."""

import os

os.environ["COMP_TEST_DB"] = "postgres"

from tests.settings import *  # noqa: F403
