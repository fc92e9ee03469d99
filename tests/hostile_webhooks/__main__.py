"""``python -m tests.hostile_webhooks [REQUESTS]``: requests tried / 5xx / rows, on both databases.

REQUESTS are made up at random, beside those of the catalogue; a tenth of them, at most, goes over
HTTP to a running server.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

TESTS = ("webhooks", "wire", "events")
SETTINGS = ("tests.settings", "tests.settings_postgres")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile_webhooks", description=__doc__)
    parser.add_argument("requests", nargs="?", type=int, default=10_000)
    parser.add_argument("--settings", choices=SETTINGS, action="append", help="one database only")
    options = parser.parse_args()
    environment = {**os.environ, "COMP_HOSTILE_REQUESTS": str(options.requests)}
    files = [f"tests/billing/test_hostile_{name}.py" for name in TESTS]
    return max(
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-s", f"--ds={settings}", *files],
            env=environment,
            check=False,
        ).returncode
        for settings in options.settings or SETTINGS
    )


if __name__ == "__main__":
    sys.exit(main())
