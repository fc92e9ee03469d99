"""The links of every page's header: each app adds its own, in its ``ready()``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


def everybody(user: Any) -> bool:
    return True


def logged_in(user: Any) -> bool:
    return bool(user.is_authenticated)


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link of the header. ``label`` may be lazy; ``shown`` decides by the user.

    ``covers`` names further pages that are reached through the linked one.
    """

    label: Any
    url_name: str
    covers: tuple[str, ...] = ()
    shown: Callable[[Any], bool] = everybody
    order: int = 50


@dataclass(frozen=True, kw_only=True)
class ShownLink:
    """A link resolved for one request."""

    label: Any
    url: str
    is_current: bool


_links: dict[str, Link] = {}


def register(link: Link) -> None:
    """Add a link, or replace the one to the same page."""
    _links[link.url_name] = link


def links_for(request: HttpRequest) -> list[ShownLink]:
    """The links for this request's user; pages that the site has not mounted are left out."""
    shown = []
    for link in sorted(_links.values(), key=lambda link: link.order):
        url = _address(link.url_name)
        if url and link.shown(request.user):
            pages = [url, *filter(None, map(_address, link.covers))]
            is_current = request.path.startswith(tuple(pages))
            shown.append(ShownLink(label=link.label, url=url, is_current=is_current))
    return _one_current(shown)


def _address(url_name: str) -> str:
    """Of a page; empty when the site has not mounted it."""
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return ""


def _one_current(links: list[ShownLink]) -> list[ShownLink]:
    """Of links that lie within each other only the closest is the current one."""
    current = max((link.url for link in links if link.is_current), key=len, default=None)
    return [
        ShownLink(label=link.label, url=link.url, is_current=link.url == current) for link in links
    ]
