"""The house's rules of size and of settings, read off the source itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("comp_users", "comp_core", "comp_billing")
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Path and text of every module that people write; migrations are written by Django."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts and ".demo" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_a_file_can_be_read_in_one_sitting() -> None:
    """About 300 lines, tests too."""
    lengths = {path: text.count("\n") for path, text in sources(*APPS, "example_project", "tests")}
    assert {path: lines for path, lines in lengths.items() if lines > 320} == {}


def test_a_function_does_one_thing() -> None:
    """At most 40 lines."""
    lengths = {
        f"{path}:{node.lineno}": (node.end_lineno or 0) - node.lineno + 1
        for path, text in sources(*APPS, "example_project", "tests")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    assert {place: lines for place, lines in lengths.items() if lines > 40} == {}


@pytest.mark.parametrize("app", APPS)
def test_every_setting_is_read(app: str) -> None:
    """A declared key that nothing reads would be a promise that is not kept."""
    texts = "".join(text for path, text in sources(app) if path != f"{app}/conf.py")
    declared = {setting.key for setting in import_module(f"{app}.conf").conf.declared()}
    assert declared - set(re.findall(r"\bconf\.([A-Z_]+)\b", texts)) == set()


def frozen_settings(text: str) -> list[int]:
    """Lines that read a setting while the module is loaded: constants and default arguments."""
    found: list[int] = []
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Attribute) and node.attr.isupper() and _is_conf(node.value):
            found.append(node.lineno)
        waiting += _read_at_once(node)
    return sorted(found)


def _is_conf(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.endswith("conf")


def _read_at_once(node: ast.AST) -> list[ast.AST]:
    """What of a node is evaluated when the module is loaded: of a function, not its body."""
    if isinstance(node, Function):
        return [*node.args.defaults, *(value for value in node.args.kw_defaults if value)]
    return list(ast.iter_child_nodes(node))


def test_settings_are_read_live() -> None:
    """Otherwise ``override_settings``, and a test's settings, would not reach them."""
    found = {path: frozen_settings(text) for path, text in sources(*APPS)}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("LIMIT = conf.LIMIT", [1]),
        ("def f(limit=conf.LIMIT):\n    pass", [1]),
        ("def f(*, limit=core_conf.LIMIT):\n    pass", [1]),
        ("class A:\n    limit = conf.LIMIT", [2]),
        ("def f():\n    return conf.LIMIT", []),
        ("f = lambda: conf.LIMIT", []),
    ],
)
def test_the_rule_sees_every_way_of_freezing(text: str, lines: list[int]) -> None:
    """Constants, default arguments and class attributes."""
    assert frozen_settings(text) == lines
