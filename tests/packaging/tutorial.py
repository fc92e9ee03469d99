"""Reads a tutorial: which files it has the reader write, and which commands it has them run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"<!-- (?P<how>file|append): (?P<name>\S+) -->\n```python\n(?P<code>.*?)^```", re.M | re.S
)


def files(page: str = "tutorial.md") -> list[tuple[str, str, str]]:
    """``(how, name, code)`` of each marked block; how is "file" or "append"."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [(m["how"], m["name"], m["code"]) for m in BLOCK.finditer(text)]


def shell_lines(page: str = "tutorial.md") -> list[str]:
    """Every command of the page's shell blocks, in order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```shell\n(.*?)^```", text, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


def write_into(folder: Path) -> None:
    """Do to a project what the page has the reader do to it."""
    for how, name, code in files():
        path = folder / name
        with path.open("a" if how == "append" else "w", encoding="utf-8") as file:
            file.write(code)


def declaration_lines() -> int:
    """Lines that a model author writes besides the science: models, settings, addresses."""
    code = "\n".join(code for _, name, code in files() if not name.endswith("functions.py"))
    return sum(1 for line in code.splitlines() if line.strip())
