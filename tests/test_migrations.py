"""Migrations: complete, reversible, and the same on every supported setting."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.django_db
def test_the_library_has_a_migration_for_every_model() -> None:
    """``makemigrations --check`` finds nothing to do."""
    output = io.StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=output)
    assert output.getvalue() == "No changes detected\n"


def test_the_example_project_has_a_migration_for_every_model(tmp_path: Path) -> None:
    """The example's own apps, under its own settings."""
    environment = {**os.environ, "COMP_DEMO_DIR": str(tmp_path)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    environment.pop("DATABASE_URL", None)
    result = subprocess.run(
        [sys.executable, "example_project/manage.py", "makemigrations", "--check", "--dry-run"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "No changes detected\n"), result.stderr


@pytest.mark.django_db(transaction=True)
def test_every_migration_goes_back_and_forth() -> None:
    """Forward (done), back to nothing, forward again: the same tables each time."""
    before = sorted(connection.introspection.table_names())
    for app in ("testapp", "comp_billing", "comp_core"):
        call_command("migrate", app, "zero", verbosity=0, interactive=False)
    emptied = {app for app, _ in MigrationRecorder(connection).applied_migrations()}
    call_command("migrate", verbosity=0, interactive=False)
    after = sorted(connection.introspection.table_names())
    assert (emptied & {"testapp", "comp_billing", "comp_core"}, after) == (set(), before)
