"""The reference pages that are written from the code: ``python -m tests.reference_pages``."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
APPS = ("comp_users", "comp_core", "comp_billing")
# Every error that the library raises and does not catch itself is defined in one of these.
ERROR_MODULES = (
    "comp_users.exceptions",
    "comp_core.exceptions",
    "comp_core.testing",
    "comp_billing.exceptions",
    "comp_billing.signatures",
    "comp_billing.payloads",
)


def settings_page() -> str:
    """Every setting of the three dicts: key, default, meaning."""
    parts = [
        "# Settings",
        "Three dicts in your settings module, read live; every key is optional. "
        "`manage.py check` names unknown keys and wrong types.",
    ]
    for app in APPS:
        conf = import_module(f"{app}.conf").conf
        rows = [f"| `{s.key}` | {_default(s.key, s.default)} | {s.doc} |" for s in conf.declared()]
        parts += [f"## `{conf.name}`", _table("key", "default", "meaning", rows=rows)]
    return "\n\n".join(parts) + "\n"


def _default(key: str, default: object) -> str:
    return "the site's own" if key == "PYTHON" else f"`{default!r}`"


def _table(*heads: str, rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows])


def commands_page() -> str:
    """Every management command that the library adds."""
    rows = [
        f"| `{name}` | {load_command_class(app, name).help} |"
        for name, app in sorted(get_commands().items())
        if app in APPS
    ]
    intro = "Each explains its options with `--help`."
    table = _table("command", "what it does", rows=rows)
    return f"# Commands\n\n{intro}\n\n{table}\n"


def errors_page() -> str:
    """Every error of the library: what it says and what it is a kind of."""
    parts = [
        "# Errors",
        "All of them are kinds of `comp_core.exceptions.CompError`, except where the table names "
        "another kind. The text is the error's message unless a more precise one is given.",
    ]
    for module in ERROR_MODULES:
        rows = [
            f"| `{error.__name__}` | `{error.__base__.__name__}` | {_first_paragraph(error)} |"
            for error in _errors_of(module)
        ]
        parts += [f"## `{module}`", _table("error", "a kind of", "what it says", rows=rows)]
    return "\n\n".join(parts) + "\n"


def _errors_of(module: str) -> Iterator[Any]:
    for value in vars(import_module(module)).values():
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == module:
            yield value


def _first_paragraph(error: Any) -> str:
    paragraph = inspect.cleandoc(error.__doc__ or "").split("\n\n")[0]
    return " ".join(paragraph.replace("``", "`").split())


def check_ids() -> list[str]:
    """The ids of all system checks, as they stand in the code."""
    found: set[str] = set()
    shared = (ROOT / "comp_users" / "settings_dict.py").read_text(encoding="utf-8")
    for app in APPS:
        found |= {f"{app}.{number}" for number in re.findall(r"\{prefix\}\.([EW]\d{3})", shared)}
        for file in (ROOT / app).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            found |= set(re.findall(rf"\b{app}\.[EW]\d{{3}}\b", text))
            found |= {f"{app}.{number}" for number in re.findall(r"_error\(\"([EW]\d{3})\"", text)}
    return sorted(found)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "errors.md": errors_page,
}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
