"""``python -m benchmarks``: one JSON document of figures on standard output."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

from benchmarks.environment import RIVAL, VARIABLE

ROOT = Path(__file__).resolve().parent.parent
BOTH = ("sqlite", "postgres")


def main() -> int:
    """The exit status: 1 when ``--check`` was asked for and a target is missed."""
    options, passed_on = _parser().parse_known_args()
    chosen = BOTH if options.database == "both" else (options.database,)
    with tempfile.TemporaryDirectory(prefix="comp-bench-rival-") as directory:
        # Made by the first benchmark that needs it.
        os.environ[VARIABLE] = str(options.rival_env or Path(directory) / "environment")
        figures = [figure for database in chosen for figure in _measured(database, passed_on)]
    missed = [f"{f['name']} ({f['database']})" for f in figures if f["holds"] is False]
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "django": django.get_version(),
        },
        "figures": figures,
        "missed": missed,
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return 1 if options.check and missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the run engine and billing's mirror of Stripe. Progress goes to "
        "standard error.",
        epilog="Further options: --only NAME (statements, child_start, end_to_end, claims, loops, "
        "progress, threads, migrations, webhooks, sync, books; may be repeated), --repeat N, "
        "--rows N, --quick (measures nothing, shows that it works).",
    )
    parser.add_argument("--database", choices=(*BOTH, "both"), default="both")
    parser.add_argument(
        "--rival-env",
        type=Path,
        metavar="DIR",
        default=os.environ.get(VARIABLE),
        help=f"Virtual environment with {RIVAL}, made there if there is none; one of this run's "
        f"own unless given. Environment variable: {VARIABLE}.",
    )
    parser.add_argument("--check", action="store_true", help="Fail when a target is missed.")
    return parser


def _measured(database: str, options: list[str]) -> list[dict[str, Any]]:
    """In a process of its own: a site has one database."""
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "django", "benchmark", *options],
        env={
            **os.environ,
            "COMP_TEST_DB": database,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "PYTHONPATH": str(ROOT),
        },
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=False,
    )
    if answer.returncode != 0:
        sys.exit(answer.returncode)  # it has said why
    figures: list[dict[str, Any]] = json.loads(answer.stdout)
    return figures


if __name__ == "__main__":
    sys.exit(main())
