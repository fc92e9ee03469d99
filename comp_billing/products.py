"""Which product at Stripe is a project's: the id that it has or gets, and the link."""

from __future__ import annotations

from itertools import chain, count

from django.db.models import Q

from comp_billing import mirror
from comp_billing.conf import conf
from comp_billing.models import Plan, Product
from comp_users.models import Project

# By Stripe's own word, an event's.
DELETED = Q(deleted=True, rank__gte=mirror.Rank.DELETED)


def product_id(project: Project) -> str:
    """The id of the project's product, here already or to be made: chosen by us, so that it cannot
    be created twice.

    Of an id that Stripe has said to be deleted only an event tells anything new, so the next number
    is taken. What Stripe merely did not know keeps its id: the key may be of another account.
    """
    linked = Product.all_objects.filter(project=project).exclude(DELETED)
    for key in linked.values_list("pk", flat=True):
        return str(key)
    first = f"{conf.METER_PREFIX}_project_{project.pk}"
    deleted = Product.all_objects.filter(DELETED, pk__startswith=first)
    taken = set(deleted.values_list("pk", flat=True))
    ids = chain([first], (f"{first}_{number}" for number in count(2)))
    return next(key for key in ids if key not in taken)


def link(project: Project, key: str) -> None:
    """Make a product the project's, unless it has been deleted meanwhile, or the project has
    another one by now. Prices that a former product of its id had may be gone: they are fetched."""
    others = Product.all_objects.filter(project=project).exclude(pk=key)
    is_here = Product.objects.filter(pk=key).exists()
    if not is_here or others.filter(deleted=False).exists():
        return
    others.update(project=None)
    Product.objects.filter(pk=key).update(project=project)
    mirror.fetch_later(Plan, Plan.all_objects.filter(product=key).values_list("pk", flat=True))
