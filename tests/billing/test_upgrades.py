"""Migrations of data: what earlier releases have written keeps its meaning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command

from comp_billing.models import Reservation
from comp_core.models import Run
from tests.billing.builders import Site, authorized_run, ended


@pytest.fixture
def migrated(transactional_db: None) -> Iterator[None]:
    """All migrations are applied again afterwards, also when a test fails in between."""
    yield
    call_command("migrate", verbosity=0, interactive=False)


def test_what_was_settled_is_dated_by_its_run(migrated: None, site: Site) -> None:
    """Money that was settled counts in the period in which its run ended; what is held stays so."""
    project, payer = site.shop(), site.subscriber()
    ended(authorized_run(project, payer))
    ended(authorized_run(project, payer), status="failed")
    authorized_run(project, payer)
    call_command("migrate", "comp_billing", "0005", verbosity=0, interactive=False)

    call_command("migrate", "comp_billing", verbosity=0, interactive=False)

    dated = dict(Reservation.objects.values_list("run", "settled_at"))
    assert dated == dict(Run.objects.values_list("pk", "finished_at"))
    assert sorted(map(bool, dated.values())) == [False, True, True]
