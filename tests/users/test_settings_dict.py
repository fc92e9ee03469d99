"""Settings: read live, and wrong ones named by a system check with the way out."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from comp_users.conf import conf


def test_a_setting_is_read_live() -> None:
    """override_settings reaches it, and the default comes back."""
    with override_settings(COMP_USERS={"SIGN_UP_OPEN": False}):
        inside = conf.SIGN_UP_OPEN
    assert (inside, conf.SIGN_UP_OPEN) == (False, True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ("sign up", [("comp_users.E001", "Write COMP_USERS = {...} in your settings module.")]),
        ({"SIGNUP_OPEN": True}, [("comp_users.E002", "Did you mean 'SIGN_UP_OPEN'?")]),
        (
            {"SIGN_UP_OPEN": "no"},
            [
                (
                    "comp_users.E003",
                    "Expected bool: Whether visitors may sign up on the site's own page.",
                )
            ],
        ),
    ],
)
def test_the_check_names_the_setting_and_the_way_out(
    given: Any, expected: list[tuple[str, str]]
) -> None:
    """Not a dict, an unknown key, a wrong type; nothing for a good dict."""
    with override_settings(COMP_USERS=given):
        found = [(message.id, message.hint) for message in conf.check(prefix="comp_users")]
    assert found == expected


def test_the_value_of_a_wrong_setting_is_never_shown() -> None:
    """It may be a secret."""
    with override_settings(COMP_USERS={"SIGN_UP_OPEN": "sk_live_123"}):
        text = " ".join(str(message) for message in conf.check(prefix="comp_users"))
    assert "sk_live_123" not in text
