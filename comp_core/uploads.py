"""Stops an upload that is too large while it arrives, and refuses one that broke off."""

from __future__ import annotations

from typing import Any, cast

from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError


class WatchedBody:
    """A request's body that remembers how it ended."""

    def __init__(self, body: Any, *, end: bytes) -> None:
        self._body, self._end, self._tail = body, end, b""

    def read(self, size: int | None = None) -> bytes:
        data: bytes = self._body.read(size)
        # The closing mark may be followed by a line break, or by an epilogue that nobody reads.
        self._tail = (self._tail + data)[-max(4096, len(self._end)) :]
        return data

    @property
    def is_whole(self) -> bool:
        """Whether the closing mark has arrived; without it some of the form is missing."""
        return self._end in self._tail


class CappedUploads(FileUploadHandler):
    """Drops files over a size, and files that nobody asked for; the rest of the form arrives.

    Set it before the request's body is read. ``too_large`` then names the fields whose file was
    dropped for its size (bytes per file).
    """

    def __init__(self, request: HttpRequest, *, names: set[str], max_bytes: int) -> None:
        super().__init__(request)
        self.names, self.max_bytes = names, max_bytes
        self.too_large: set[str] = set()
        self._received = 0
        self._body: WatchedBody | None = None

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],  # noqa: N803  # Django's name
        content_length: int,
        boundary: Any,  # bytes, whatever the stubs say
        encoding: str | None = None,
    ) -> tuple[Any, Any] | None:
        """Let Django parse the body while it is watched.

        Django takes what has come for all there is. A connection that breaks during an upload would
        so start a run on half a table, or on none. Raises MultiPartParserError, which is a 400.
        """
        if self._body is not None:  # the call from within
            return None
        self._body = WatchedBody(input_data, end=b"--" + boundary + b"--")
        handlers = self.request.upload_handlers  # type: ignore[union-attr]  # given to __init__
        # The parser only ever calls read().
        parsed = MultiPartParser(META, cast("Any", self._body), handlers, encoding).parse()
        if not self._body.is_whole:
            raise MultiPartParserError("The form arrived incomplete; nothing was saved.")
        return parsed

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._received = 0
        if self.field_name not in self.names:
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self._received += len(raw_data)
        if self._received > self.max_bytes:
            self.too_large.add(self.field_name)
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


def cap_uploads(request: HttpRequest, *, names: set[str], max_bytes: int) -> CappedUploads:
    """Put the cap before the site's own upload handlers."""
    handler = CappedUploads(request, names=names, max_bytes=max_bytes)
    request.upload_handlers.insert(0, handler)
    return handler
