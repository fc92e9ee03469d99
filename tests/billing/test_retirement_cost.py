"""What it costs to look for what may go."""

from __future__ import annotations

from typing import Any

import pytest

from comp_billing import retirement
from comp_users.models import Profile, Project
from tests.billing.builders import Site, used
from tests.billing.test_retirement import payer, project, unpublish

__all__ = ["payer", "project"]


def test_a_round_that_finds_nothing_costs_two_statements(
    site: Site, project: Project, payer: Profile, django_assert_num_queries: Any
) -> None:
    """However many projects and customers there are."""
    with django_assert_num_queries(2):
        retirement.retire()


@pytest.mark.parametrize("customers", [1, 5])
def test_items_that_have_to_wait_cost_three_statements_more(
    site: Site, project: Project, customers: int, django_assert_num_queries: Any
) -> None:
    """Of customers who have used it, or whose item is being removed already."""
    for number in range(customers):
        used(project, site.subscriber(f"user{number}"))
        site.subscriber(f"idle{number}")
    unpublish(project)
    asked = retirement.retire()

    with django_assert_num_queries(5):
        assert retirement.retire() == 0

    assert asked == customers
