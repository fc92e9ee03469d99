"""``python -m tests.mirror [HISTORIES]``: random histories on SQLite and on PostgreSQL.

``--seed N`` begins elsewhere, and repeats what an earlier run began there; ``--database`` chooses
one database.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

DATABASES = ("sqlite", "postgres")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mirror", description=__doc__)
    parser.add_argument("histories", nargs="?", type=int, default=200)
    parser.add_argument("--seed", type=int, help="where the histories begin; chosen unless given")
    parser.add_argument("--database", choices=DATABASES)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4))
    if options.database is not None:
        return check(options)
    arguments = [sys.executable, "-m", "tests.mirror", *sys.argv[1:], "--seed", str(options.seed)]
    # Side by side: one process of Python uses one core.
    both = [subprocess.Popen([*arguments, "--database", name]) for name in DATABASES]
    return max(process.wait() for process in both)


def check(options: argparse.Namespace) -> int:
    """On one database, in this process; answers the exit status."""
    with tempfile.TemporaryDirectory(prefix="comp-mirror-") as directory:
        os.environ["COMP_TEST_DB"] = options.database
        os.environ["COMP_TEST_MEDIA"] = directory
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        from tests.mirror.standalone import run  # noqa: PLC0415  # needs the settings

        return 1 if run(options.histories, first=options.seed).divergent else 0


if __name__ == "__main__":
    sys.exit(main())
