"""The test settings with what the guide to scaling out tells a site to write, word for word."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.settings import *  # noqa: F403
from tests.test_docs import EXAMPLE

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "scale_out.md"
APP_CODE, SETTINGS_CODE = EXAMPLE.findall(GUIDE.read_text(encoding="utf-8"))[:2]

TASKS: dict[str, Any] = {}
exec(compile(SETTINGS_CODE, str(GUIDE), "exec"))  # noqa: S102  # our own documentation
TASKS["default"]["OPTIONS"]["APP"] = "tests.core.celery_app.app"
COMP_CORE = json.loads(os.environ.get("COMP_TEST_CORE", "{}"))
