"""Texts that are shown to operators, or kept in logs, do not give the site's secrets away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.views.debug import SafeExceptionReporterFilter

STARS = SafeExceptionReporterFilter.cleansed_substitute
SHORTEST = 4
# User and password in an address, such as a broker's or a database's. A password may itself have
# a slash or an @: rather too much is hidden than too little.
CREDENTIALS = re.compile(r"(?<=://)\S+(?=@)")


def without_secrets(text: str) -> str:
    """The text with stars for every value of a setting that Django itself would hide, and for the
    credentials of addresses."""
    found = {secret for secret in _secrets() if len(secret) >= SHORTEST}
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, STARS)
    return CREDENTIALS.sub(STARS, text)


def _secrets() -> Iterator[str]:
    for name in dir(settings):
        if name.isupper():
            yield from _within(name, getattr(settings, name))


def _within(name: str, value: Any) -> Iterator[str]:
    """Texts below a name that sounds secret: of a dict's keys, however deep."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _within(str(key), item)
    elif SafeExceptionReporterFilter.hidden_settings.search(name):
        values = value if isinstance(value, (list, tuple)) else [value]
        yield from (item for item in values if isinstance(item, str))
