"""A worker's process with something waiting for it at a crash point.

``python -m tests.faults.worker_main JSON [options of comp_worker]``; JSON has the settings ``core``
and ``billing``, and perhaps a ``point`` and the ``action`` there: ``exit``, as kill -9 does it, or
``sleep`` for a second.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db.backends.signals import connection_created

KILLED = 137


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    settings.COMP_CORE, settings.COMP_BILLING = given["core"], given["billing"]
    django.setup()
    # They need the apps that have just been loaded.
    from comp_core import crashpoints  # noqa: PLC0415
    from tests.faults import audit  # noqa: PLC0415

    def hook(point: str) -> None:
        if point != given.get("point"):
            return
        if given["action"] == "exit":
            os._exit(KILLED)
        crashpoints.hook = None
        time.sleep(1)

    connection_created.connect(audit.on_connected)
    crashpoints.hook = hook
    call_command("comp_worker", *sys.argv[2:])


if __name__ == "__main__":
    main()
