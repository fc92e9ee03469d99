"""Builders of the rows that tests of runs start from."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from comp_core import lifecycle, runner
from comp_core.lifecycle import Outcome
from comp_core.models import CoreInputs, Run
from comp_core.outputs.store import open_output
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_core.status import InputsStatus, RunStatus
from comp_users.models import Profile

SUCCESS = Outcome(status=RunStatus.SUCCEEDED, seconds=Decimal("2.5"))
FAILURE = Outcome(status=RunStatus.FAILED, error_message="It broke.")


def make_profile(username: str = "", **values: Any) -> Profile:
    """The profile of a new user; the e-mail address follows the name."""
    name = username or f"user-{uuid.uuid4().hex[:8]}"
    user = get_user_model().objects.create_user(username=name, email=f"{name}@example.org")
    Profile.objects.filter(pk=user.profile.pk).update(**values)
    return Profile.objects.select_related("user").get(pk=user.profile.pk)


def make_inputs(slug: str = "doubling", owner: Profile | None = None, **values: Any) -> Any:
    """Inputs that have passed their check, of a model that their owner may run."""
    spec = get_spec(slug)
    project = project_for(spec)
    owner = owner or project.owner or make_profile()
    if not project.is_public and project.owner_id is None:
        project.owner = owner
        project.save(update_fields=["owner"])
    values.setdefault("status", InputsStatus.VALID)
    inputs: CoreInputs = spec.inputs_model.objects.create(owner=owner, **values)
    return inputs


def make_run(slug: str = "doubling", owner: Profile | None = None, **values: Any) -> Any:
    """A queued run; ``values`` are the inputs' parameters."""
    return lifecycle.submit(make_inputs(slug, owner, **values))


def make_claimed(slug: str = "doubling", **values: Any) -> Any:
    """A run that this process holds."""
    run = make_run(slug, **values)
    claimed = lifecycle.claim(run.queue, worker_id="tests")
    assert claimed is not None
    assert claimed.pk == run.pk
    return claimed


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL of the block, without what opens and closes transactions."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    framing = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    found += [q["sql"] for q in captured if not q["sql"].startswith(framing)]


def run_unruly(behaviour: str, amount: float = 0) -> Run:
    """A run of the unruly model as it stands after its execution."""
    run = make_claimed("unruly", behaviour=behaviour, amount=amount)
    runner.execute(run)
    return Run.objects.get(pk=run.pk)


def expire(run: Run) -> None:
    """Let a lease run out."""
    Run.objects.filter(pk=run.pk).update(lease_expires_at=Now() - timedelta(seconds=1))


def status(run: Run) -> str:
    """How a run stands in the database."""
    return Run.objects.get(pk=run.pk).status


def content(run: Run, output_id: str = "1") -> bytes:
    """The bytes of an output."""
    with open_output(run, output_id)[1] as file:
        return file.read()


def stored_files(run: Run) -> list[str]:
    """What storage holds of a run."""
    root = Path(default_storage.path(f"runs/{run.pk}"))
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def ids(messages: list[CheckMessage]) -> list[str]:
    """The ids of messages."""
    return [str(message.id) for message in messages]
