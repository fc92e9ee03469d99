"""``comp_doctor``: says in words what is wrong with a site, and what to do about it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from comp_core.doctor import Finding, Level, examine, worst
from comp_core.printed import plain

MARKS = {Level.OK: "ok", Level.WARNING: "WARNING", Level.PROBLEM: "PROBLEM"}


class Command(BaseCommand):
    """Exit status 0: no problem, with ``--strict`` no warning either; else 1."""

    help = "Examine the site: workers, runs, storage, clocks, migrations; say what to do."
    # They are among what is examined.
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--deep", action="store_true", help="Start every model's interpreter too."
        )
        parser.add_argument(
            "--strict", action="store_true", help="Warnings too make the exit status 1."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine(deep=options["deep"])
        level = worst(findings)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(level, findings), indent=2))
        else:
            self._write(findings)
        if level is Level.PROBLEM or (options["strict"] and level is Level.WARNING):
            sys.exit(1)

    def _write(self, findings: list[Finding]) -> None:
        styles = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.PROBLEM: self.style.ERROR,
        }
        for finding in findings:
            mark = styles[finding.level](f"{MARKS[finding.level]:8}")
            self.stdout.write(f"{mark} {finding.probe}: {plain(finding.what)}")
            if finding.todo:
                self.stdout.write(f"{'':8} {plain(finding.todo)}")


def _as_json(level: Level, findings: list[Finding]) -> dict[str, Any]:
    return {
        "status": level.value,
        "findings": [
            {"probe": f.probe, "level": f.level.value, "what": f.what, "todo": f.todo}
            for f in findings
        ],
    }
