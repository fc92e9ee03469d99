"""The wheel: what is in it, and that it works in a clean environment."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("comp_users", "comp_core", "comp_billing")
SHIPPED = {".py", ".typed", ".html", ".txt", ".css", ".js", ".svg", ".po", ".mo"}


def test_the_wheel_holds_every_file_of_the_three_apps_and_nothing_else(wheel: Path) -> None:
    """Templates, static files and migrations are in; tests and the example are not."""
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    tracked = {
        path.relative_to(ROOT).as_posix()
        for app in APPS
        for path in (ROOT / app).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix in SHIPPED
    }
    assert names == tracked


def test_every_app_ships_templates_and_migrations(wheel: Path) -> None:
    """The sets above are not empty by accident."""
    names = zipfile.ZipFile(wheel).namelist()
    missing = [
        f"{app}/{part}"
        for app in APPS
        for part in ("templates/", "migrations/0001", "py.typed")
        if not any(name.startswith(f"{app}/{part}") for name in names)
    ]
    assert missing == []


def test_the_installed_wheel_imports_without_the_checkout(
    clean_python: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """Imported from site-packages, and the version is the distribution's."""
    code = (
        "import comp_core, importlib.metadata as m;"
        "assert comp_core.__version__ == m.version('django-comp');"
        "assert 'site-packages' in comp_core.__file__"
    )
    result = subprocess.run(
        [clean_python, "-c", code],
        check=False,
        cwd=tmp_path,
        env=clean_environment,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr
