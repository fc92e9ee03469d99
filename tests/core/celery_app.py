"""The Celery app of real workers, as the guide writes it: `celery -A tests.core.celery_app`."""

from __future__ import annotations

from tests.core.celery_settings import APP_CODE, GUIDE

exec(compile(APP_CODE, str(GUIDE), "exec"))  # noqa: S102  # our own documentation
