"""Settings as live, typed attributes over one dict of the host's settings module.

Each app's ``conf.py`` declares its dict once; ``override_settings`` reaches every read, and the
same declarations feed the system check and the reference table in the documentation.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Generic, TypeVar, overload

from django.conf import settings
from django.core import checks

T = TypeVar("T")


class Setting(Generic[T]):
    """One key of a settings dict: its default, the types it accepts, and a sentence on its use.

    Numbers have to be finite, at least ``minimum`` where there is one, and no larger than columns
    and moments in time can hold.
    """

    def __init__(
        self,
        default: T,
        doc: str,
        *,
        types: tuple[type, ...] = (),
        minimum: float | None = None,
        maximum: float = math.inf,
    ) -> None:
        self.default = default
        self.doc = doc
        self.types = types or (type(default),)
        self.minimum, self.maximum = minimum, maximum
        self.key = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: SettingsDict, owner: type) -> T: ...
    def __get__(self, instance: SettingsDict | None, owner: type) -> Setting[T] | T:
        if instance is None:
            return self
        value: T = instance.as_given().get(self.key, self.default)
        return value

    def accepts(self, value: object) -> bool:
        """Whether a value has a declared type; True and False are not numbers here."""
        if isinstance(value, bool) and bool not in self.types:
            return False
        return isinstance(value, self.types)

    def in_range(self, value: object) -> bool:
        """Whether a value of the right type is one that we can work with."""
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            return True
        if not math.isfinite(value) or value > self.maximum:
            return False
        return self.minimum is None or value >= self.minimum

    def expected(self) -> str:
        kinds = " or ".join("None" if t is type(None) else t.__name__ for t in self.types)
        bounds = [] if self.minimum is None else [f"at least {self.minimum:g}"]
        if math.isfinite(self.maximum):
            bounds.append(f"at most {self.maximum:,.0f}")
        return ", ".join([kinds, *bounds])


class SettingsDict:
    """Base of each app's ``conf``: ``conf.KEY`` is the host's value, or the declared default."""

    name: str

    def as_given(self) -> dict[str, Any]:
        """The dict exactly as the host wrote it; empty when absent or not a dict (see check)."""
        given = getattr(settings, self.name, {})
        return given if isinstance(given, dict) else {}

    def declared(self) -> Iterator[Setting[Any]]:
        return (value for value in vars(type(self)).values() if isinstance(value, Setting))

    def check(self, *, prefix: str) -> list[checks.CheckMessage]:
        """System check messages: not a dict (E001), an unknown key (E002), a value that is of the
        wrong type or out of range (E003)."""
        given = getattr(settings, self.name, {})
        if not isinstance(given, dict):
            hint = f"Write {self.name} = {{...}} in your settings module."
            return [checks.Error(f"{self.name} is not a dict.", hint=hint, id=f"{prefix}.E001")]
        known = {setting.key: setting for setting in self.declared()}
        messages: list[checks.CheckMessage] = []
        for key, value in given.items():
            if key not in known:
                messages.append(self._unknown(key, list(known), prefix))
            elif not known[key].accepts(value):
                messages.append(self._wrong(known[key], "has the wrong type", prefix))
            elif not known[key].in_range(value):
                messages.append(self._wrong(known[key], "is out of range", prefix))
        return messages

    def _unknown(self, key: object, known: list[str], prefix: str) -> checks.Error:
        close = difflib.get_close_matches(str(key), known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"Known settings: {', '.join(known)}."
        return checks.Error(
            f"{self.name}[{key!r}] is not a setting.", hint=hint, id=f"{prefix}.E002"
        )

    def _wrong(self, setting: Setting[Any], how: str, prefix: str) -> checks.Error:
        # The value itself may be a secret, so it is never part of the message.
        return checks.Error(
            f"{self.name}[{setting.key!r}] {how}.",
            hint=f"Expected {setting.expected()}: {setting.doc}",
            id=f"{prefix}.E003",
        )
