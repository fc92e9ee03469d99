"""Notices at the top of every page: each app adds its own, in its ``ready()``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One sentence or two, and where to act on it. Texts may be lazy."""

    text: Any
    url: str = ""
    link_text: Any = ""


#: Told the request of a user who is logged in. Is asked for every page: one query at the most.
Source = Callable[[HttpRequest], Iterable[Notice]]
_sources: dict[str, Source] = {}


def register(name: str, source: Source) -> None:
    """Add a source of notices, or replace the one of that name."""
    _sources[name] = source


def notices_for(request: HttpRequest) -> list[Notice]:
    """All notices for the request's user; none for visitors, of whom nothing is asked."""
    if not request.user.is_authenticated:
        return []
    return [notice for source in _sources.values() for notice in source(request)]
