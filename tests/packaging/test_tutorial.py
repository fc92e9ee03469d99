"""The tutorial, done word by word in a clean environment, outside the checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packaging import tutorial

VISIT = """
from django.test import Client
from comp_core.models import Run
from comp_users.models import User
client = Client()
client.force_login(User.objects.get(username="author"))
page = client.get("/models/")
assert "Radioactive decay" in page.content.decode(), page.content
form = client.get("/models/decay/")
assert form.status_code == 200, form.status_code
answer = client.post("/models/decay/", {"amount": 100, "half_life": 5730, "years": %s})
assert answer.status_code == 302, answer.content.decode()
print(answer.url)
"""

RESULT = """
from comp_core.models import Run
from django.test import Client
from comp_users.models import User
client = Client()
client.force_login(User.objects.get(username="author"))
run = Run.objects.get()
page = client.get(run.get_absolute_url()).content.decode()
assert "What is left" in page and "decay.csv" in page, page
print(run.status, run.upstream_version, len(run.outputs), run.run_cost is not None)
"""


@pytest.fixture(scope="module")
def project(clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's site: every file written, every command up to the worker run."""
    folder = tmp_path_factory.mktemp("tutorial")
    before, after = _commands()
    for line in before:
        _shell(line, folder, clean_environment)
    tutorial.write_into(folder)
    for line in after:
        _shell(line, folder, clean_environment)
    return folder


def _commands() -> tuple[list[str], list[str]]:
    """The page's commands, less those that make the environment or wait for a person."""
    lines = [
        line
        for line in tutorial.shell_lines()
        if not line.startswith((". ", "python -m venv", "python -m pip"))
        and not line.endswith(("comp_worker", "runserver"))
    ]
    lines = [
        "python manage.py createsuperuser --noinput --username author --email author@example.com"
        if line.endswith("createsuperuser")
        else line
        for line in lines
    ]
    first_manage = next(i for i, line in enumerate(lines) if "manage.py" in line)
    return lines[:first_manage], lines[first_manage:]


def _shell(line: str, folder: Path, environment: dict[str, str]) -> str:
    environment = {**environment, "DJANGO_SUPERUSER_PASSWORD": "correct horse battery"}
    result = subprocess.run(
        line, check=False, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def _python(code: str, folder: Path, environment: dict[str, str]) -> str:
    (folder / "visit.py").write_text(code)
    settings = "from django.conf import settings; settings.ALLOWED_HOSTS = ['testserver']"
    line = f"python manage.py shell -c \"{settings}; exec(open('visit.py').read())\""
    return _shell(line, folder, environment).strip().splitlines()[-1]


def test_a_model_is_declared_in_25_lines() -> None:
    """Models, the functions' address, settings and urls; the science aside."""
    assert tutorial.declaration_lines() <= 25


def test_the_tutorials_model_runs(project: Path, clean_environment: dict[str, str]) -> None:
    """Submitted through its page, executed by the worker, shown with table, file and cost."""
    _python(VISIT % 10000, project, clean_environment)
    _shell("python manage.py comp_worker --once", project, clean_environment)
    result = _python(RESULT, project, clean_environment)
    assert result == "succeeded 1.0.0 2 True"


def test_a_fresh_modelling_project_needs_no_further_migration(
    project: Path, clean_environment: dict[str, str]
) -> None:
    """``makemigrations --check`` in the reader's own project, right after the tutorial."""
    output = _shell("python manage.py makemigrations --check --dry-run", project, clean_environment)
    assert output == "No changes detected\n"
