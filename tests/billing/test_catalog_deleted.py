"""Products that were deleted at Stripe, or that Stripe does not know: what is made anew, once."""

from __future__ import annotations

from typing import Any

from comp_billing import catalog, intents, mirror, products, stripe_api, webhooks
from comp_billing.models import Intent, IntentState, Meter, Plan, Product, SubscriptionItem
from comp_billing.sync import fetching
from comp_billing.testing import StandIn, StandInClient
from comp_users.models import Project
from tests.billing.builders import Site, customer_of
from tests.billing.deliveries import event
from tests.billing.test_fetching import everything_due

MINUTE = 60
CATALOGUE = (Product, Meter, Plan)


def remove(site: Site, *kinds: str) -> None:
    """Everything of these kinds is deleted at Stripe, by hand; nobody is told."""
    for kind in kinds:
        for obj in site.objects(kind):
            site.standin.store.remove(kind, obj["id"])


def tell_deleted(site: Site, product: Product) -> None:
    """The event of its deletion arrives."""
    told = event(
        "product.deleted",
        product.data,
        id=f"evt_{product.pk}",
        created=int(site.standin.now()),
    )
    webhooks.ingest(webhooks.event_of(told))
    site.standin.advance(seconds=MINUTE)


def delete_product(site: Site, *with_it: str) -> None:
    """The only product is deleted at Stripe by hand, and what of it is told so too."""
    product = Product.objects.get()
    remove(site, "product", *with_it)
    tell_deleted(site, product)


def maintain(site: Site, rounds: int = 3) -> dict[str, int]:
    """What the maintenance loops do; answers the calls that made something."""
    before = dict(site.standin.calls)
    for _round in range(rounds):
        catalog.plan_all()
        site.work()
        everything_due()
        fetching.fetch_due()
    made = {path: n - before.get(path, 0) for path, n in site.standin.calls.items()}
    return {path: n for path, n in made.items() if n and path.startswith("POST")}


def offered() -> list[tuple[Project, str]]:
    """Projects on offer, each with the product that it is sold as."""
    plans = catalog.plans_on_offer()
    return [(plan.meter.project, plan.product_id or "") for plan in plans if plan.meter]


def linked() -> dict[str, list[Any]]:
    """What is the catalogue's: ids and projects."""
    return {
        "product": list(Product.objects.values_list("pk", "project")),
        "meter": list(Meter.objects.filter(project__isnull=False).values_list("pk", "project")),
        "plan": [plan.pk for plan in catalog.plans_on_offer()],
    }


def unsettled() -> list[str]:
    found = Intent.objects.exclude(state=IntentState.SUCCEEDED)
    return list(found.values_list("subject", flat=True))


def lose(site: Site) -> None:
    """Stripe knows nothing of the catalogue: so it is to a key of another account, if it may not
    ask whose it is. A minute later the key is right again."""
    site.standin.advance(seconds=MINUTE)
    for model in CATALOGUE:
        ids = model.all_objects.values_list("pk", flat=True)
        mirror.missing(model, ids, as_of=site.standin.now(), api_version=stripe_api.API_VERSION)
    site.standin.advance(seconds=MINUTE)


def work_elsewhere(site: Site) -> dict[str, int]:
    """For a minute the key is of another, empty account, where the maintenance loops do their work;
    answers what they make."""
    other = StandIn()
    other.advance(seconds=2 * MINUTE)
    with stripe_api.use_http_client(StandInClient(other)):
        made = maintain(Site(other, site.settings))
    other.close()
    site.standin.advance(seconds=2 * MINUTE)
    return made


def look_again() -> None:
    """All that is here is to be fetched, as after a whole reading that did not name it."""
    for model in CATALOGUE:
        mirror.fetch_later(model, model.all_objects.values_list("pk", flat=True))


def product_by_hand(project: Project) -> str:
    """A product that somebody has made and marked as the project's; its event is here."""
    marks = {"comp_project": str(project.pk), "comp_install": "comp"}
    made = stripe_api.call("post", "/v1/products", {"name": project.name, "metadata": marks}).data
    webhooks.ingest(webhooks.event_of(event("product.created", made)))
    return str(made["id"])


# -- what Stripe has said to be deleted


def test_deleted_product_is_made_again_under_the_next_number(site: Site) -> None:
    """One creation and one price on it; then there is nothing left to do."""
    project = site.shop()
    delete_product(site, "price")
    made = maintain(site)
    again = maintain(site)
    assert (made, again, offered(), unsettled()) == (
        {"POST /v1/products": 1, "POST /v1/prices": 1},
        {},
        [(project, f"comp_project_{project.pk}_2")],
        [],
    )


def test_product_deleted_twice_is_made_a_third_time(site: Site) -> None:
    """No id that Stripe has said to be deleted is ever chosen again."""
    project = site.shop()
    delete_product(site, "price")
    maintain(site)
    delete_product(site, "price")
    made = maintain(site)
    assert (made, offered()) == (
        {"POST /v1/products": 1, "POST /v1/prices": 1},
        [(project, f"comp_project_{project.pk}_3")],
    )


def test_price_of_a_deleted_product_gives_way_to_one_on_the_next(site: Site) -> None:
    """Though its own deletion was not told. Who pays by the old one keeps that, and no second."""
    project = site.shop()
    ada = customer_of(site.subscriber())
    delete_product(site)
    made = maintain(site)
    items = SubscriptionItem.objects.filter(subscription__customer=ada)
    assert (made, offered(), items.count(), unsettled()) == (
        {"POST /v1/products": 1, "POST /v1/prices": 1},
        [(project, f"comp_project_{project.pk}_2")],
        1,
        [],
    )


def test_a_deletion_is_answered_with_one_intent(site: Site) -> None:
    """However often it is looked for while Stripe cannot be reached."""
    site.shop()
    delete_product(site, "price")
    for _round in range(3):
        catalog.plan_all()
        site.standin.faults.add("refuse")
        intents.carry_out_due()
    states = Intent.objects.filter(kind="product.create").values_list("state", flat=True)
    assert list(states) == [IntentState.SUCCEEDED, IntentState.PENDING]


def test_product_deleted_before_its_creation_was_answered(site: Site) -> None:
    """The answer, late as it is, is not linked; the next number is."""
    project = site.public_project()
    site.standin.faults.add("drop_after", verb="POST", path="/v1/products")
    intents.carry_out_due()
    (data,) = site.objects("product")
    remove(site, "product")
    tell_deleted(site, Product(pk=data["id"], data=data))
    maintain(site)
    assert (offered(), Product.all_objects.filter(project=project).count()) == (
        [(project, f"comp_project_{project.pk}_2")],
        1,
    )


def test_number_of_another_project_is_not_taken(site: Site) -> None:
    """Ids that merely begin alike."""
    project = site.public_project()
    first = f"comp_project_{project.pk}"
    gone = [{"id": f"{first}{n}", "object": "product", "deleted": True} for n in ("0", "_2")]
    mirror.upsert(gone, as_of=5, rank=mirror.Rank.DELETED, api_version=stripe_api.API_VERSION)
    assert products.product_id(project) == first


# -- what Stripe does not know


def test_product_that_stripe_did_not_know_is_taken_up_again(site: Site) -> None:
    """It is there after all: its project keeps it, and nothing is made."""
    site.shop()
    before = linked()
    product = Product.objects.get()
    mirror.missing(
        Product, [product.pk], as_of=site.standin.now(), api_version=stripe_api.API_VERSION
    )
    site.standin.advance(seconds=MINUTE)
    assert (maintain(site), linked(), unsettled()) == ({}, before, [])


def test_catalogue_is_unknown_to_a_key_of_another_account(site: Site) -> None:
    """When the key is right again the catalogue is as it was: nothing is made for it."""
    site.shop()
    before = linked()
    lose(site)
    lost = linked()["plan"]
    assert (lost, maintain(site), linked(), unsettled()) == ([], {}, before, [])


def test_catalogue_is_read_again_first(site: Site) -> None:
    """The same, in another order."""
    site.shop()
    before = linked()
    lose(site)
    look_again()
    everything_due()
    fetching.fetch_due()
    assert (linked(), maintain(site), unsettled()) == (before, {}, [])


def test_a_worker_with_a_key_of_another_account(site: Site) -> None:
    """It has made a catalogue there; here the former one is taken up again."""
    site.shop()
    before = linked()
    lose(site)
    made = work_elsewhere(site)
    look_again()
    assert (sum(made.values()), maintain(site), linked(), unsettled()) == (3, {}, before, [])


def test_product_that_was_not_named_by_us_keeps_its_project(site: Site) -> None:
    """While Stripe does not know it, and afterwards: no second one is made beside it."""
    project = site.public_project()
    Intent.objects.all().delete()
    key = product_by_hand(project)
    catalog.set_up_catalog()
    before = linked()
    lose(site)
    kept = Product.all_objects.get().project
    assert (kept, maintain(site), linked(), offered()) == (project, {}, before, [(project, key)])


def test_product_that_a_project_has_by_now_stays(site: Site) -> None:
    """Its prices are sold; the one that was asked for before is left unused."""
    project = site.public_project()
    key = product_by_hand(project)
    maintain(site)
    assert (offered(), unsettled()) == ([(project, key)], [])


def test_product_that_is_gone_without_a_word_is_made_again(site: Site) -> None:
    """Under its id, when a question tells of it; its prices went with it."""
    project = site.shop()
    (price,) = site.objects("price")
    remove(site, "product", "price")
    site.standin.advance(seconds=MINUTE)
    look_again()
    made = maintain(site)
    assert (made, offered(), Plan.objects.filter(pk=price["id"]).exists(), unsettled()) == (
        {"POST /v1/products": 1, "POST /v1/prices": 1},
        [(project, f"comp_project_{project.pk}")],
        False,
        [],
    )


def test_product_that_cannot_be_renamed_since_it_is_gone(site: Site) -> None:
    """The refusal is what tells of it; the new name is asked for once."""
    project = site.shop()
    remove(site, "product", "price")
    site.standin.advance(seconds=MINUTE)
    project.name = "Pandemic"
    project.save()
    made = maintain(site, rounds=4)
    assert (made, offered(), Product.objects.get().name) == (
        {
            "POST /v1/products/{id}": 1,
            "POST /v1/billing/meters/{id}": 1,
            "POST /v1/products": 1,
            "POST /v1/prices": 1,
        },
        [(project, f"comp_project_{project.pk}")],
        "Pandemic",
    )


def test_refused_change_is_not_asked_for_again(site: Site) -> None:
    """An operator, or another name, takes it up."""
    project = site.shop()
    project.name = "Refused"
    project.save()
    Intent.objects.filter(kind__endswith=".update").update(state=IntentState.FAILED)
    assert (maintain(site), Intent.objects.filter(kind="product.update").count()) == ({}, 1)


def test_change_under_way_is_not_asked_for_twice(site: Site) -> None:
    """However often it is looked for while Stripe cannot be reached."""
    project = site.shop()
    project.name = "Pandemic"
    project.save()
    for _round in range(3):
        site.standin.faults.add("refuse")
        intents.carry_out_due()
        catalog.plan_all()
    assert Intent.objects.filter(kind="product.update").count() == 1
