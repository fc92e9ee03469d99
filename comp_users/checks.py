"""System checks of comp_users; they touch neither database nor network."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage

from comp_users.conf import conf


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return conf.check(prefix="comp_users")
