"""The reference pages that are written from the code: ``python -m tests.reference_pages``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import django

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"


def settings_page() -> str:
    """Every setting of the three dicts: key, default, meaning."""
    from comp_billing.conf import conf as billing  # noqa: PLC0415  # needs configured settings
    from comp_core.conf import conf as core  # noqa: PLC0415
    from comp_users.conf import conf as users  # noqa: PLC0415

    parts = [
        "# Settings",
        "Three dicts in your settings module, read live; every key is optional. "
        "`manage.py check` names unknown keys and wrong types.",
    ]
    for conf in (users, core, billing):
        rows = [f"| `{s.key}` | {_default(s.key, s.default)} | {s.doc} |" for s in conf.declared()]
        table = "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])
        parts += [f"## `{conf.name}`", table]
    return "\n\n".join(parts) + "\n"


def _default(key: str, default: object) -> str:
    return "the site's own" if key == "PYTHON" else f"`{default!r}`"


def commands_page() -> str:
    """Every management command that the library adds."""
    from django.core.management import get_commands, load_command_class  # noqa: PLC0415

    apps = ("comp_users", "comp_core", "comp_billing")
    rows = [
        f"| `{name}` | {load_command_class(app, name).help} |"
        for name, app in sorted(get_commands().items())
        if app in apps
    ]
    intro = "Each explains its options with `--help`."
    table = "\n".join(["| command | what it does |", "|---|---|", *rows])
    return f"# Commands\n\n{intro}\n\n{table}\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
