"""A file of signing secrets that only its owner may read: one line for each setting.

``WEBHOOK_SECRETS=whsec_a,whsec_b``: the key of COMP_BILLING, and its secrets, comma-separated.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.management.base import CommandError

SETTINGS = ("WEBHOOK_SECRETS", "THIN_WEBHOOK_SECRETS")


def make_private(path: Path) -> None:
    """See to it, before a secret is made that is shown once only, that it can be kept: a file
    that only its owner may read. Raises CommandError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise CommandError(f"{path} cannot be written to: {exc.strerror}.") from exc


def keep_privately(path: Path, secret: str, *, setting: str) -> None:
    """Add a secret to those of a setting."""
    known = read_secrets(path)
    known[setting] = [*(entry for entry in known[setting] if entry != secret), secret]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={','.join(known[name])}\n" for name in SETTINGS if known[name])


def read_secrets(path: Path) -> dict[str, list[str]]:
    """{setting: its secrets}; empty lists when there is no file."""
    known: dict[str, list[str]] = {name: [] for name in SETTINGS}
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for line in lines:
        name, equals, entries = line.partition("=")
        if not (equals and name in known):
            # A file from before the settings were two.
            name, entries = "WEBHOOK_SECRETS", line
        known[name] += [entry.strip() for entry in entries.split(",") if entry.strip()]
    return known
