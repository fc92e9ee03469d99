"""``python -m tests.faults [EXECUTIONS]``: the fault checker on SQLite and on PostgreSQL.

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


def main(package: str = "tests.faults", *, executions: int = 300) -> int:
    """The command of a package with a checker; so many ``executions`` pass all of its points."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=__doc__)
    parser.add_argument("executions", nargs="?", type=int, default=executions)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one execution only")
    parser.add_argument("--database", choices=DATABASES)
    parser.add_argument("--json", help="a file for the figures, one line per database")
    options = parser.parse_args()
    if options.database is not None:
        return check(options, package, executions)
    arguments = [sys.executable, "-m", package, *sys.argv[1:]]
    # Side by side: one process of Python uses one core.
    both = [subprocess.Popen([*arguments, "--database", name]) for name in DATABASES]
    return max(process.wait() for process in both)


def check(options: argparse.Namespace, package: str, all_points: int) -> int:
    """On one database, in this process; answers the exit status."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="comp-faults-", dir=memory) as directory:
        tempfile.tempdir = directory
        os.environ["COMP_TEST_DB"] = options.database
        os.environ["COMP_TEST_MEDIA"] = directory
        os.environ["COMP_TEST_SQLITE"] = f"{directory}/faults.sqlite3"
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        from tests.faults.standalone import run  # noqa: PLC0415  # needs the settings

        totals = run(options, package, all_points)
        tempfile.tempdir = None
    if options.json:
        with open(options.json, "a", encoding="utf-8") as file:
            file.write(json.dumps({"database": options.database, **totals}) + "\n")
    return 1 if totals["violations"] or totals["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
