"""Notices at the top of every page: whoever has something to tell registers it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.http import HttpRequest
from django.test import Client

from comp_users import notices
from comp_users.notices import Notice
from tests.core.builders import make_profile
from tests.core.pages import visitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def told() -> Iterator[list[str]]:
    """Whom the notice of these tests was asked for."""
    asked: list[str] = []

    def source(request: HttpRequest) -> Iterator[Notice]:
        asked.append(str(request.user))
        yield Notice(text="<b>News</b>", url="/news/?a=1&b=2", link_text="Read")

    notices.register("tests", source)
    yield asked
    notices._sources.pop("tests")


def test_notice_is_on_every_page_of_a_user(told: list[str]) -> None:
    """Escaped, with its link."""
    profile = make_profile()

    text = visitor(profile).get("/models/").content.decode()

    link = '<a href="/news/?a=1&amp;b=2">Read</a>'
    found = ("&lt;b&gt;News&lt;/b&gt;" in text, link in text, told)
    assert found == (True, True, [str(profile.user)])


def test_visitors_are_told_nothing(told: list[str]) -> None:
    """Nothing is asked of them either."""
    text = Client().get("/models/").content.decode()

    assert ("News" in text, told) == (False, [])


def test_source_of_the_same_name_is_replaced(told: list[str]) -> None:
    """A host may silence one."""
    notices.register("tests", lambda request: [])

    text = visitor(make_profile()).get("/models/").content.decode()

    assert "News" not in text
