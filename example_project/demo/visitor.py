"""A visitor of the site: a browser without JavaScript, driven by the demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import mechanicalsoup

from demo.exceptions import DemoError


class Visitor:
    """Follows links and fills in forms over HTTP, as a person would."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._browser = mechanicalsoup.StatefulBrowser()

    @property
    def url(self) -> str:
        """Where the visitor is now."""
        return str(self._browser.url)

    @property
    def text(self) -> str:
        """The words of the page, without its markup."""
        return " ".join(self._browser.page.get_text(" ").split())

    def visit(self, path: str) -> None:
        response = self._browser.open(self.base_url + path)
        if response.status_code >= 400:
            raise DemoError(f"{path} answered {response.status_code}.")

    def submit(
        self,
        form: str,
        values: dict[str, Any] | None = None,
        *,
        files: dict[str, Path] | None = None,
        button: str | None = None,
    ) -> None:
        """Fill in the form that a CSS selector names and send it. A redirect is followed.

        Raises DemoError with the page's complaints when the answer is an error.
        """
        try:
            selected = self._browser.select_form(form)
        except mechanicalsoup.LinkNotFoundError as error:
            raise DemoError(f"{self.url} has no form {form}: {self.text[:500]}") from error
        for name, value in (values or {}).items():
            selected.set(name, value)
        opened = {name: path.open("rb") for name, path in (files or {}).items()}
        for name, file in opened.items():
            selected.set(name, file)
        try:
            if button:
                selected.choose_submit(self._browser.page.select_one(button))
            response = self._browser.submit_selected(update_state=True)
        finally:
            for file in opened.values():
                file.close()
        if response.status_code >= 400:
            raise DemoError(f"{self.url} answered {response.status_code}: {self.text[:500]}")

    def texts(self, selector: str) -> list[str]:
        """The words of every element that a CSS selector finds."""
        return [" ".join(e.get_text(" ").split()) for e in self._browser.page.select(selector)]

    def links(self, selector: str) -> list[str]:
        """Where the links lead that a CSS selector finds."""
        return [str(element["href"]) for element in self._browser.page.select(selector)]

    def download(self, url: str) -> bytes:
        """The bytes behind a link of this site, the page left open."""
        response = self._browser.get(urljoin(self.url, url))
        if response.status_code >= 400:
            raise DemoError(f"{url} answered {response.status_code}.")
        return bytes(response.content)

    def complaints(self) -> list[str]:
        """The error messages that the page shows, each once."""
        # The summary holds those of the fields too, with their names.
        return self.texts(".error-summary li") or self.texts(".errorlist li")
