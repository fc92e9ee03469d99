"""The example site's settings: whole, and safe by default."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

MANAGE = Path(__file__).resolve().parents[2] / "example_project" / "manage.py"


def manage(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A management command of the example, with nothing set but what is given."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-W", "error", str(MANAGE), *arguments],
        env={**kept, "COMP_DEMO_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_site_needs_no_settings_to_start(tmp_path: Path) -> None:
    """Not even a secret: one is made and kept for its owner alone."""
    first = manage(tmp_path, "check")
    secret = tmp_path / "secret_key"
    kept = secret.read_text()
    manage(tmp_path, "check")
    assert first.returncode == 0, first.stderr
    assert (len(kept) > 50, secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == (
        True,
        kept,
        0o600,
    )


def test_a_deployment_behind_https_has_few_warnings(tmp_path: Path) -> None:
    """The two left are decisions about all other sites of the domain."""
    result = manage(
        tmp_path,
        "check",
        "--deploy",
        SITE_URL="https://models.example.org",
        ALLOWED_HOSTS="models.example.org",
    )
    warnings = [line for line in result.stderr.splitlines() if line.startswith("?:")]
    assert result.returncode == 0, result.stderr
    assert [line.split()[1] for line in warnings] == ["(security.W005)", "(security.W021)"]


def test_with_a_key_the_site_bills(tmp_path: Path) -> None:
    """The meter is chosen, secrets may be several."""
    code = (
        "from django.conf import settings as s;"
        "print(s.COMP_CORE['METER'], s.COMP_BILLING['WEBHOOK_SECRETS'],"
        " s.COMP_BILLING['THIN_WEBHOOK_SECRETS'])"
    )
    result = manage(
        tmp_path,
        "shell",
        "-v0",
        "-c",
        code,
        STRIPE_SECRET_KEY="sk_test_x",
        STRIPE_WEBHOOK_SECRETS="whsec_a, whsec_b",
        STRIPE_THIN_WEBHOOK_SECRETS="whsec_c",
    )
    assert result.stdout == "comp_billing.metering.StripeMeter ['whsec_a', 'whsec_b'] ['whsec_c']\n"


@pytest.mark.parametrize(("word", "expected"), [("False", "False"), ("0", "False"), ("1", "True")])
def test_words_for_no_mean_no(tmp_path: Path, word: str, expected: str) -> None:
    """A site must not be in debug mode because its environment says "False"."""
    code = "from django.conf import settings as s; print(s.DEBUG)"
    assert manage(tmp_path, "shell", "-v0", "-c", code, DEBUG=word).stdout == f"{expected}\n"


def test_a_folder_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    """What it is about and the way out, without a traceback."""
    (tmp_path / "file").touch()
    result = manage(tmp_path / "file" / "data", "check")
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "Name a folder that can be written to" in result.stderr
