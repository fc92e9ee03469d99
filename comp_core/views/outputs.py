"""Downloads of a run's outputs. Nothing that a model made is ever shown in the site's origin."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from django.core.files import File
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from comp_core.models import Run
from comp_core.outputs.store import open_output
from comp_core.previews import download_name, table_as_csv
from comp_core.views.access import visible_run
from comp_users.pages import render_page

CHUNK_BYTES = 2**16


@require_safe
def output(request: HttpRequest, pk: uuid.UUID, output_id: str) -> HttpResponseBase:
    """One output as a file: tables as CSV (``?format=json``: as stored), the rest as stored."""
    run = visible_run(request.user, pk)
    try:
        entry, file = open_output(run, output_id)
    except FileNotFoundError:
        return _gone(request, run)
    except LookupError as error:
        raise Http404 from error
    if entry["kind"] == "table" and request.GET.get("format") != "json":
        lines = StreamingHttpResponse(_closing(file), content_type="text/csv; charset=utf-8")
        return _as_download(lines, download_name(entry))
    name = entry["filename"] if entry["kind"] == "table" else download_name(entry)
    # Bytes are bytes: the model's own media type would only invite the browser to act on it.
    response = FileResponse(file, content_type="application/octet-stream")
    return _as_download(response, name)


@require_safe
def archive(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """All outputs of a run in one ZIP file, written while it is sent."""
    run = visible_run(request.user, pk)
    if not run.outputs:
        raise Http404
    if run.outputs_pruned_at is not None:
        return _gone(request, run)
    response = StreamingHttpResponse(zipped(run), content_type="application/zip")
    return _as_download(response, f"{slugify(run.project.slug)}-{run.pk}.zip")


def _gone(request: HttpRequest, run: Run) -> HttpResponse:
    """A page that says so: 410 when the site has removed the outputs, 404 when one is missing."""
    status = 404 if run.outputs_pruned_at is None else 410
    return render_page(request, "comp_core/gone.html", {"run": run}, status=status)


def _closing(file: Any) -> Iterator[bytes]:
    with file:
        yield from table_as_csv(file)


def _as_download(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """Saved, not shown; and if a browser shows it all the same, it can do nothing there."""
    response.headers["Content-Disposition"] = content_disposition_header(
        as_attachment=True, filename=name
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private"
    return response


class _Outlet(io.RawIOBase):
    """What the ZIP writer writes to: keeps the bytes until they are taken away."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._chunks = b"".join(self._chunks), []
        return taken


def zipped(run: Run) -> Iterator[bytes]:
    """A ZIP file of all outputs, chunk by chunk. Names start with a number: titles may repeat."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as target:
        for number, entry in enumerate(run.outputs, start=1):
            try:
                _, file = open_output(run, entry["id"])
            except FileNotFoundError:
                continue
            name = f"{number:02}-{PurePosixPath(download_name(entry)).name}"
            with file, target.open(name, "w", force_zip64=True) as member:
                for chunk in _content(entry, file):
                    member.write(chunk)
                    yield outlet.take()
    yield outlet.take()


def _content(entry: dict[str, Any], file: File[bytes]) -> Iterator[bytes]:
    if entry["kind"] == "table":
        yield from table_as_csv(file)
        return
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
