"""A site that mirrors a kind of Stripe object of its own, as the library mirrors its."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.site import fresh_database

SHOP = Path(__file__).with_name("shop")
ROOT = SHOP.parent.parent
GUIDE = ROOT / "docs" / "howto" / "handle_events.md"


def test_a_host_mirrors_a_kind_of_its_own(tmp_path: Path) -> None:
    """Migrated, written by events, fetched by the worker, deleted for good, listed, shown in the
    admin."""
    site = tmp_path / "site"
    shutil.copytree(SHOP, site, ignore=shutil.ignore_patterns("__pycache__"))
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
        "by_event": {
            "statuses": [200, 200],
            "row": [40, "succeeded", True, True],
            "state": "processed",
            "notes": ["40 given back"],
            "charge": [100, 55, 1],
        },
        "by_worker": [True, 10, True, None],
        "by_hint": [200, True, 5],
        "tombstone": [True, 40, 1],
        "by_list": ["refund", "4", 7, 3],
        "pages": [200, 200, 200, 200, 403],
        "asked_for": ["refund.created", "refund.failed", "refund.updated"],
        "left": 0,
    }


def test_the_guide_shows_the_shop_s_own_code() -> None:
    """What it cannot execute as it stands is code that the test above executes."""
    shown = re.findall(r"\n\n```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    code = "".join(path.read_text(encoding="utf-8") for path in SHOP.rglob("*.py"))
    assert ([block for block in shown if block not in code], len(shown)) == ([], 3)
