"""Stops an upload that is too large while it arrives, before it fills memory or disk."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest


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
