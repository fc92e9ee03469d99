"""A site that differs from ours in everything that it may decide for itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.site import fresh_database

HOST = Path(__file__).with_name("host")
ROOT = HOST.parent.parent


def test_a_site_with_its_own_user_model(tmp_path: Path) -> None:
    """UUID keys, no e-mail, no staff, no billing, equal class names: migrated, run, reversible."""
    site = tmp_path / "site"
    shutil.copytree(HOST, site, ignore=shutil.ignore_patterns("__pycache__"))
    with fresh_database(tmp_path) as url:
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{site}",
        }
        told = subprocess.run(
            [sys.executable, "-W", "error", str(site / "story.py")],
            cwd=site,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {
        "migrations": "No changes detected",
        "runs": [["one.models", "succeeded", ""], ["two.models", "succeeded", ""]],
        "pages": [200, 200, 200, 200],
        "own_pages": [200, 200],
        "profiles": 3,
    }
