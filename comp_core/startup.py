"""What must be there before a worker can begin: a database, with every migration applied."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.management.base import CommandError
from django.db import InterfaceError, OperationalError, connection

from comp_core.doctor import unapplied_migrations

WAIT_SECONDS = 60.0
LOOK_SECONDS = 1.0


def wait_until_ready(say: Callable[[str], object]) -> None:
    """Return when a worker can begin; wait a minute for a database that is away.

    ``say`` hears once that it is. Raises CommandError.
    """
    end, told = time.monotonic() + WAIT_SECONDS, False
    while True:
        try:
            missing = unapplied_migrations()
            break
        except (OperationalError, InterfaceError) as error:
            reason = " ".join(str(error).split())
        connection.close()
        if time.monotonic() > end:
            raise CommandError(f"The database could not be reached: {reason}")
        if not told:
            say(f"The database cannot be reached yet; trying for a minute. {reason}")
            told = True
        time.sleep(LOOK_SECONDS)
    if missing:
        raise CommandError(
            f"{len(missing)} migrations are not applied, {missing[0]} for one. "
            "Run manage.py migrate first."
        )
