"""The catalogue at Stripe: what is made, adopted, renamed, and left alone."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from comp_billing import catalog, intents, stripe_api
from comp_billing.exceptions import StripeUnavailable
from comp_billing.models import Intent, IntentState, Meter, Plan, Product
from tests.billing.builders import Site

HOOK = "https://models.example.org/billing/webhook/"


def set_up(*args: str) -> str:
    """What the set-up command says."""
    out = StringIO()
    call_command("comp_setup_stripe", *args, stdout=out)
    return out.getvalue()


def test_public_project_gets_product_meter_and_plan(site: Site) -> None:
    """A public project becomes a product, a meter summing integers and a monthly metered plan."""
    project = site.public_project("Epidemic")

    catalog.set_up_catalog()

    product, meter, plan = Product.objects.get(), Meter.objects.get(), Plan.objects.get()
    assert (product.pk, product.project, product.name) == (
        f"comp_project_{project.pk}",
        project,
        "Epidemic",
    )
    assert (meter.project, meter.event_name, meter.data["default_aggregation"]["formula"]) == (
        project,
        f"comp_p{project.pk}_micro",
        "sum",
    )
    assert (plan.product, plan.meter, plan.usage_type, plan.interval, plan.amount_decimal) == (
        product,
        meter,
        "metered",
        "month",
        Decimal("0.0001"),
    )


def test_setting_up_again_changes_nothing(site: Site) -> None:
    """A second run makes no call at all."""
    site.public_project()
    catalog.set_up_catalog()
    before = site.standin.calls.total()

    made = catalog.set_up_catalog()

    assert (made, site.standin.calls.total()) == ([], before)


def test_what_is_at_stripe_already_is_adopted(site: Site) -> None:
    """A site whose database was lost takes over what it made before."""
    project = site.public_project()
    catalog.set_up_catalog()
    for model in (Plan, Meter, Product, Intent):
        model._default_manager.all().delete()

    catalog.set_up_catalog()

    counts = [len(site.objects(kind)) for kind in ("product", "billing.meter", "price")]
    assert (counts, Plan.objects.get().meter.project) == ([1, 1, 1], project)


def test_private_and_free_projects_are_not_sold(site: Site) -> None:
    """Projects that are not public have nothing at Stripe."""
    site.public_project(is_public=False)
    site.public_project(is_public=False, server_cost=None)

    made = catalog.set_up_catalog()

    assert (made, site.standin.calls.total()) == ([], 0)


def test_renamed_project_renames_its_product_and_meter(site: Site) -> None:
    """A new name reaches Stripe; the ids, the meter's event name and the plan stay."""
    project = site.shop("Epidemic")
    before = (Product.objects.get().pk, Meter.objects.get().event_name, Plan.objects.get().pk)
    project.name = "Pandemic"
    project.save()

    site.work()

    (product,), (meter,) = site.objects("product"), site.objects("billing.meter")
    after = (Product.objects.get().pk, Meter.objects.get().event_name, Plan.objects.get().pk)
    assert (product["name"], meter["display_name"], after) == ("Pandemic", "Pandemic", before)


def test_name_changed_twice_before_the_worker_came_is_sent_once(site: Site) -> None:
    """Of several changes that wait, the last one is sent."""
    project = site.shop("Epidemic")
    for name in ("Pandemic", "Endemic"):
        project.name = name
        project.save()

    site.work()

    (product,) = site.objects("product")
    assert (product["name"], Intent.objects.filter(kind="product.update").count()) == ("Endemic", 1)


def test_archived_product_of_a_public_project_is_sold_again(site: Site) -> None:
    """What was archived at Stripe by hand is offered again while its project is public."""
    project = site.shop()
    Product.objects.update(active=False)

    catalog.plan_project(project)

    assert Intent.objects.get(kind="product.update").params["active"] is True


def test_publishing_a_project_asks_for_its_catalogue(site: Site) -> None:
    """Saving a project as public leaves an intent; the worker makes all three objects of it."""
    project = site.public_project(is_public=False)
    project.is_public = True
    project.save()

    site.work()

    assert [plan.meter.project for plan in catalog.plans_on_offer()] == [project]


def test_projects_published_without_a_signal_are_found(site: Site) -> None:
    """The maintenance loop finds what no save announced."""
    site.configure(SECRET_KEY="")
    project = site.public_project()
    site.configure(SECRET_KEY="sk_test_new")

    catalog.plan_all()
    site.work()

    assert [plan.meter.project for plan in catalog.plans_on_offer()] == [project]


def test_another_pricing_policy_counts_on_another_meter(site: Site) -> None:
    """Units of two policies never meet on one meter."""
    project = site.shop()
    site.configure(PRICING="comp_billing.pricing.PennyPricing")

    catalog.set_up_catalog()

    (plan,) = catalog.plans_on_offer()
    assert (plan.meter.event_name, plan.amount_decimal, plan.meter.project) == (
        f"comp_p{project.pk}_penny",
        Decimal(1),
        project,
    )


def test_product_deleted_at_stripe_is_made_again(site: Site) -> None:
    """A creation that succeeded once does not stand in the way of a second one."""
    project = site.public_project()
    catalog.plan_project(project)
    Intent.objects.filter(kind="product.create").update(
        state=IntentState.SUCCEEDED, result_id="gone"
    )

    catalog.set_up_catalog()

    assert Product.objects.get().project == project


@pytest.mark.parametrize("fault", ["500_before", "500_saved", "drop_after", "429"])
@pytest.mark.parametrize("path", ["/v1/products", "/v1/billing/meters", "/v1/prices"])
def test_one_catalogue_whatever_went_wrong(site: Site, path: str, fault: str) -> None:
    """One failure of any kind at any step ends, with the second run, in one of each."""
    site.public_project()
    site.standin.faults.add(fault, verb="POST", path=path)
    with pytest.raises(Exception, match=r"."):
        catalog.set_up_catalog()

    catalog.set_up_catalog()

    counts = [len(site.objects(kind)) for kind in ("product", "billing.meter", "price")]
    assert counts == [1, 1, 1]


def test_command_tells_what_it_made(site: Site) -> None:
    """The command names every object it made and how many projects are on offer."""
    site.public_project()

    said = set_up()

    assert [line.split(":")[0] for line in said.splitlines()] == [
        "product.create",
        "meter.create",
        "price.create",
        "portal_configuration.create",
        "1 public project on offer at Stripe.",
    ]


def test_command_on_a_dry_run_calls_nobody(site: Site) -> None:
    """A dry run says what would be done and does none of it."""
    site.public_project("Epidemic")
    Intent.objects.all().delete()

    said = set_up("--dry-run", "--webhook-url", "https://site.example/hook/")

    assert said.splitlines() == [
        "Epidemic: would create the product, create the meter, create the metered price,"
        " or adopt what Stripe has.",
        "Would configure the customer portal, or adopt what Stripe has.",
        "Would see to it that events are sent to https://site.example/hook/,"
        " thin ones to https://site.example/hook/thin/.",
    ]
    assert (site.standin.calls.total(), Intent.objects.count()) == (0, 0)


def test_command_without_a_key_names_the_setting(site: Site) -> None:
    """Without a key the command says which setting is missing."""
    site.configure(SECRET_KEY="")

    with pytest.raises(CommandError, match="SECRET_KEY"):
        set_up()


def test_command_says_that_stripe_is_down(site: Site) -> None:
    """A Stripe that cannot be reached ends the command with words, not with a traceback."""
    site.public_project()
    site.standin.faults.add("refuse", times=9)

    with pytest.raises(CommandError, match="run the command again"):
        set_up()


def test_refused_step_is_told_with_stripes_reason(site: Site) -> None:
    """What Stripe refuses fails the command, which repeats Stripe's words."""
    site.public_project()
    intents.carry_out_due(kinds=["product.create", "meter.create"])
    (meter,) = site.objects("billing.meter")
    stripe_api.call("post", f"/v1/billing/meters/{meter['id']}/deactivate")

    with pytest.raises(CommandError, match="inactive"):
        set_up()


def test_refused_step_is_tried_again_by_the_next_run(site: Site) -> None:
    """Once the cause of a refusal is gone, running the command again is enough."""
    site.public_project()
    Intent.objects.filter(kind="product.create").update(state=IntentState.FAILED)

    said = set_up()

    assert said.endswith("1 public project on offer at Stripe.\n")


def test_project_renamed_after_a_refusal_is_tried_under_its_new_name(site: Site) -> None:
    """What was refused has been corrected: the old parameters are not sent again."""
    project = site.public_project("Refused")
    Intent.objects.filter(kind="product.create").update(
        state=IntentState.FAILED, first_sent_at=timezone.now(), attempts=1
    )
    project.name = "Epidemic"
    project.save()

    set_up()

    assert Intent.objects.filter(kind="product.update").count() == 0
    assert [product["name"] for product in site.objects("product")] == ["Epidemic"]


def test_webhook_endpoints_are_made_once_and_their_secrets_kept(site: Site, tmp_path: Path) -> None:
    """One endpoint for snapshots and one for thin events; the file holds a line for each."""
    file = tmp_path / "secrets"
    first = set_up("--webhook-url", HOOK, "--write-secret", str(file))
    kept = file.read_text()

    again = set_up("--webhook-url", HOOK, "--write-secret", str(file))

    names = [line.partition("whsec_")[0] for line in kept.splitlines()]
    assert names == ["WEBHOOK_SECRETS=", "THIN_WEBHOOK_SECRETS="]
    assert (file.read_text(), file.stat().st_mode & 0o777) == (kept, 0o600)
    assert ("whsec_" in first, again.count("there already")) == (False, 2)
    counts = [len(site.objects(k)) for k in ("webhook_endpoint", "v2.core.event_destination")]
    assert counts == [1, 1]


def test_webhook_secret_is_in_no_row(site: Site) -> None:
    """The signing secret is printed and stored nowhere."""
    said = set_up("--webhook-url", HOOK)

    rows = str(list(Intent.objects.values()))
    assert ("whsec_" in said, "whsec_" in rows) == (True, False)


def test_webhook_endpoint_is_pinned_to_our_api_version(site: Site) -> None:
    """Events come in the version that the library reads."""
    set_up("--webhook-url", HOOK)

    (endpoint,) = site.objects("webhook_endpoint")
    assert endpoint["api_version"] == stripe_api.API_VERSION


def test_unavailable_is_raised_to_the_caller(site: Site) -> None:
    """Callers of the verb learn that Stripe is down; what was planned stays planned."""
    site.public_project()
    site.standin.faults.add("refuse", times=9)

    with pytest.raises(StripeUnavailable):
        catalog.set_up_catalog()

    assert Intent.objects.get(kind="product.create").state == IntentState.PENDING
