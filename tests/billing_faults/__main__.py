"""``python -m tests.billing_faults [EXECUTIONS]``: the fault checker of billing, on both databases.

``--seed N`` repeats one execution and says what it found; ``--database`` chooses one database.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

DATABASES = ("sqlite", "postgres")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.billing_faults", description=__doc__)
    parser.add_argument("executions", nargs="?", type=int, default=150)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one execution only")
    parser.add_argument("--database", choices=DATABASES)
    parser.add_argument("--json", help="a file for the figures, one line per database")
    options = parser.parse_args()
    if options.database is not None:
        return check(options)
    arguments = [sys.executable, "-m", "tests.billing_faults", *sys.argv[1:]]
    # Side by side: one process of Python uses one core.
    both = [subprocess.Popen([*arguments, "--database", name]) for name in DATABASES]
    return max(process.wait() for process in both)


def check(options: argparse.Namespace) -> int:
    """On one database, in this process; answers the exit status."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="comp-billing-faults-", dir=memory) as directory:
        tempfile.tempdir = directory
        os.environ["COMP_TEST_DB"] = options.database
        os.environ["COMP_TEST_MEDIA"] = directory
        os.environ["COMP_TEST_SQLITE"] = f"{directory}/faults.sqlite3"
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        from tests.billing_faults.standalone import run  # noqa: PLC0415  # needs the settings

        totals = run(options)
        tempfile.tempdir = None
    if options.json:
        with open(options.json, "a", encoding="utf-8") as file:
            file.write(json.dumps({"database": options.database, **totals}) + "\n")
    return 1 if totals["violations"] or totals["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
