"""The rules that keep the three apps apart, read off the source itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Left to right: an app imports only those before it.
APPS = ("comp_users", "comp_core", "comp_billing")


def imported_by(source: str, package: str = "") -> set[str]:
    """Absolute names of all modules that a source imports, inside functions and strings of
    ``importlib.import_module`` included; relative imports resolved against the package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            prefix = ".".join(base) if node.level else ""
            module = ".".join(part for part in (prefix, node.module or "") if part)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node) and node.args:
            names.update(_text(node.args[0]))
    return names


def _is_import_call(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in {"import_module", "__import__", "import_string"}


def _text(node: ast.expr) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def modules_of(app: str) -> Iterator[Path]:
    return (ROOT / app).rglob("*.py")


def imports_of(path: Path) -> set[str]:
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    return imported_by(path.read_text(encoding="utf-8"), package)


def offending(app: str, forbidden: tuple[str, ...]) -> list[str]:
    return sorted(
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules_of(app)
        for name in imports_of(path)
        if name.split(".")[0] in forbidden
    )


@pytest.mark.parametrize("position", range(len(APPS)), ids=APPS)
def test_an_app_imports_only_the_apps_to_its_left(position: int) -> None:
    """comp_users <- comp_core <- comp_billing <- the site."""
    forbidden = (*APPS[position + 1 :], "example_project", "example_site", "tests")
    assert offending(APPS[position], forbidden) == []


def naming(app: str, forbidden: tuple[str, ...]) -> list[str]:
    """Files of an app, templates and static files too, whose text has one of these names."""
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in (ROOT / app).rglob("*")
        if path.suffix in {".py", ".html", ".txt", ".css", ".js", ".svg"}
    }
    return sorted(path for path, text in texts.items() if any(name in text for name in forbidden))


@pytest.mark.parametrize("position", range(len(APPS)), ids=APPS)
def test_an_app_does_not_even_name_those_to_its_right(position: int) -> None:
    """No dotted path, no ``apps.get_model`` by label, no tag or address in a template."""
    assert naming(APPS[position], APPS[position + 1 :]) == []


def test_naming_sees_templates() -> None:
    """The rule above is not empty: core's templates do name core."""
    assert "comp_core/templates/comp_core/run.html" in naming("comp_core", ("comp_core",))


def test_one_module_imports_stripe() -> None:
    """Only stripe_api with its transport, and the stand-in, know the SDK."""
    importing = {
        path.relative_to(ROOT).as_posix()
        for app in APPS
        for path in modules_of(app)
        if any(name.split(".")[0] == "stripe" for name in imports_of(path))
        and "testing" not in path.parts
    }
    assert importing == {"comp_billing/stripe_api.py", "comp_billing/stripe_transport.py"}


# What a model's process loads of this library, from beside its launcher.
CHILD_FILES = (
    "comp_core/__init__.py",
    "comp_core/launcher.py",
    "comp_core/child.py",
    "comp_core/channel.py",
    "comp_core/progress.py",
    "comp_core/outputs/__init__.py",
    "comp_core/outputs/encoding.py",
    "comp_core/outputs/writing.py",
)
CHILD_MODULES = {
    path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in CHILD_FILES
}


@pytest.mark.parametrize("path", CHILD_FILES)
def test_the_child_needs_the_standard_library_only(path: str) -> None:
    """A model's own interpreter may have neither Django nor this library."""
    foreign = {n for n in imports_of(ROOT / path) if n.split(".")[0] not in sys.stdlib_module_names}
    packages = {"comp_core", "comp_core.outputs"}
    known = {n for n in foreign if n.rpartition(".")[0] in CHILD_MODULES - packages}
    assert foreign - known - CHILD_MODULES == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    import comp_billing.usage\n", {"comp_billing.usage"}),
        ("def f():\n    from comp_billing import usage\n", {"comp_billing.usage"}),
        ("from . import usage\n", {"comp_billing.usage"}),
        ("from .. import usage\n", {"comp_billing.usage"}),
        ("import importlib\nimportlib.import_module('stripe')\n", {"importlib", "stripe"}),
    ],
)
def test_the_rule_sees_every_way_of_importing(source: str, expected: set[str]) -> None:
    """Inside functions, relative, and by name."""
    package = "comp_billing.sub" if ".." in source else "comp_billing"
    assert imported_by(source, package) == expected
