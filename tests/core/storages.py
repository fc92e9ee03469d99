"""Storages at their worst, each in one way, and how a test has outputs kept in one."""

from __future__ import annotations

import errno
import threading
import time
import unicodedata
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, ClassVar

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.db import OperationalError
from django.utils import timezone

from comp_core.outputs.files import output_storage


def use_storage(settings: Any, name: str, **options: Any) -> Any:
    """Have outputs kept in one of the storages below; ``options`` are its own."""
    backend = {"BACKEND": f"{__name__}.{name}", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "outputs": backend}
    settings.COMP_CORE = {**getattr(settings, "COMP_CORE", {}), "STORAGE": "outputs"}
    return output_storage()


class Renaming(FileSystemStorage):
    """Gives every file a name of its own."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        path = PurePosixPath(name)
        return str(path.with_name(f"renamed-{path.name}"))


class Full(FileSystemStorage):
    """Takes half of a run's second file."""

    def _save(self, name: str, content: File[bytes]) -> str:
        if "2-" not in PurePosixPath(name).name:
            return str(super()._save(name, content))  # type: ignore[misc]  # not in the stubs
        super()._save(name, ContentFile(content.read(2)))  # type: ignore[misc]
        raise OSError(errno.ENOSPC, "No space left on device", self.path(name))


class BlindAndFull(Full):
    """Cannot list its files either."""

    def listdir(self, path: str) -> Any:
        raise NotImplementedError


class FullAndRenaming(Renaming, Full):
    """Takes half of a run's second file, under another name."""


class FullAndAway(Full):
    """Answers nothing more after that."""

    def listdir(self, path: str) -> Any:
        raise ConnectionError("away")

    def delete(self, name: str) -> None:
        raise ConnectionError("away")


class Secretive(InMemoryStorage):
    """Its errors say what no user may read."""

    def _save(self, name: str, content: File[bytes]) -> str:
        raise RuntimeError("bucket customer-42 refuses the key AKIA0000")


class Tabular(InMemoryStorage):
    """Keeps files in a database that is away."""

    def _save(self, name: str, content: File[bytes]) -> str:
        raise OperationalError("server closed the connection unexpectedly")


class Fleeting(InMemoryStorage):
    """Lists files that are gone: others remove them at the same time."""

    def get_modified_time(self, name: str) -> datetime:
        raise FileNotFoundError(name)

    def delete(self, name: str) -> None:
        super().delete(name)
        raise FileNotFoundError(name)


class Blind(InMemoryStorage):
    """Can neither list its files nor tell their times."""

    def listdir(self, path: str) -> Any:
        raise NotImplementedError


class Timeless(InMemoryStorage):
    """Keeps no times."""

    def get_modified_time(self, name: str) -> datetime:
        raise NotImplementedError


class Liar(FileSystemStorage):
    """Knows nothing of what it has."""

    def exists(self, name: str) -> bool:
        return False


class Stubborn(InMemoryStorage):
    """Removes nothing whose name is in ``kept``; counts how often it was asked to."""

    kept: ClassVar[str] = "stuck"

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def delete(self, name: str) -> None:
        self.asked += 1
        if self.kept and self.kept in name:
            raise PermissionError("not allowed")
        super().delete(name)


class Away(InMemoryStorage):
    """Answers no question about its files; counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def listdir(self, path: str) -> Any:
        self.asked += 1
        raise ConnectionError("away")


class Slow(InMemoryStorage):
    """Takes its time: before each chunk, or after it has read them all. Then it calls back."""

    meanwhile: ClassVar[Callable[[], object]]

    def __init__(self, chunk_seconds: float = 0.0, send_seconds: float = 0.0) -> None:
        super().__init__()
        self.chunk_seconds, self.send_seconds = chunk_seconds, send_seconds

    def _save(self, name: str, content: File[bytes]) -> str:
        data = b""
        while chunk := content.read(2):
            data += chunk
            time.sleep(self.chunk_seconds)
        time.sleep(self.send_seconds)
        type(self).meanwhile()
        return str(super()._save(name, ContentFile(data)))  # type: ignore[misc]  # not in the stubs


class Bucket(Storage):
    """Keys without folders, as at S3: it reads in a thread, closes what it was given, overwrites,
    and removes what is not there without a word."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}

    def _save(self, name: str, content: File[bytes]) -> str:
        def upload() -> None:
            content.seek(0)
            self.objects[name] = (content.read(), timezone.now())
            content.close()

        thread = threading.Thread(target=upload)
        thread.start()
        thread.join()
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return File(BytesIO(self.objects[name][0]), name=name)

    def exists(self, name: str) -> bool:
        return False

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)

    def size(self, name: str) -> int:
        return len(self.objects[name][0])

    def get_modified_time(self, name: str) -> datetime:
        return self.objects[name][1]

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        below = [key[len(path) + 1 :] for key in self.objects if key.startswith(f"{path}/")]
        folders = sorted({key.partition("/")[0] for key in below if "/" in key})
        return folders, [key for key in below if "/" not in key]


class Decomposing(FileSystemStorage):
    """Lists names in another spelling than it was given, as some file systems do."""

    def listdir(self, path: str) -> Any:
        folders, files = super().listdir(path)
        return folders, [unicodedata.normalize("NFD", name) for name in files]

    def delete(self, name: str) -> None:
        super().delete(unicodedata.normalize("NFC", name))

    def get_modified_time(self, name: str) -> datetime:
        return super().get_modified_time(unicodedata.normalize("NFC", name))
