"""The documentation says what the code does: generated pages are current, examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from comp_core.declaration import OPTIONAL, REQUIRED
from tests.reference_pages import FOLDER, PAGES, check_ids

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
EXAMPLE = re.compile(r"<!-- test -->\n```python\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#:]+)\)")


def examples() -> list[tuple[str, str]]:
    return [
        (page.relative_to(ROOT).as_posix(), code)
        for page in sorted(DOCS.rglob("*.md"))
        for code in EXAMPLE.findall(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("name", PAGES)
def test_reference_pages_are_current(name: str) -> None:
    """Rewrite them with ``python -m tests.reference_pages``."""
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_system_check_is_explained() -> None:
    """Each id stands in the reference once, and no other does."""
    page = (FOLDER / "checks.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"`(comp_\w+\.[EW]\d{3})`", page)) == check_ids()


def test_every_attribute_of_a_declaration_is_explained() -> None:
    """The page for model authors names each key of ``Comp``, with its default."""
    page = (FOLDER / "models.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \| (?:required|none|empty|`|\d|the site's)", page, re.M)
    assert sorted(named) == sorted({*OPTIONAL, *REQUIRED})


def test_every_page_can_be_reached() -> None:
    """The contents name every page of the documentation."""
    contents = LINK.findall((DOCS / "README.md").read_text(encoding="utf-8"))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages - set(contents) == {"README.md"}


@pytest.mark.parametrize(("page", "code"), examples(), ids=[page for page, _ in examples()])
def test_examples_run(page: str, code: str) -> None:
    """Blocks marked ``<!-- test -->`` are executed as they stand."""
    exec(compile(code, page, "exec"), {})  # noqa: S102  # our own documentation


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links between pages point at files that exist."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
