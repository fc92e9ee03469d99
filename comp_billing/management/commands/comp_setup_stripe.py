"""Set the catalogue up at Stripe: ``manage.py comp_setup_stripe``."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comp_billing import catalog, customers, endpoints, retirement, stripe_api
from comp_billing.endpoints import Endpoint, LeftBehind
from comp_billing.exceptions import StripeError
from comp_billing.management.secret_file import keep_privately, make_private
from comp_billing.models import Intent, IntentState
from comp_billing.paying import portal
from comp_users.models import Project

STEPS = {
    "product.create": "create the product",
    "product.update": "bring the product up to date",
    "meter.create": "create the meter",
    "meter.update": "rename the meter",
    "meter.reactivate": "switch the meter on again",
    "price.create": "create the metered price",
}


class Command(BaseCommand):
    """Makes what is missing, adopts what is there, changes nothing twice. Run it as you like."""

    help = (
        "Creates the product, the meter and the metered price of every public project at Stripe,"
        " the configuration of the customer portal, and the webhook endpoint when its address is"
        " given. Running it again changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Tell what would be done, and call nobody."
        )
        parser.add_argument(
            "--webhook-url", help="Address of this site's webhook view, as Stripe reaches it."
        )
        parser.add_argument(
            "--thin-webhook-url",
            default="",
            help="Address of the view for thin events, where it is not beside the other one, at"
            " <webhook-url>/thin/.",
        )
        parser.add_argument(
            "--write-secret",
            metavar="FILE",
            help="File to add the signing secrets to, a line for each setting, instead of printing"
            " them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not stripe_api.is_configured():
            raise CommandError('No Stripe key: set COMP_BILLING["SECRET_KEY"] first.')
        if options["dry_run"]:
            self._tell_steps(options["webhook_url"], options["thin_webhook_url"])
            return
        if options["write_secret"]:
            make_private(Path(options["write_secret"]))
        try:
            made = [*catalog.set_up_catalog(), *set_up_portal()]
            if options["webhook_url"]:
                self._set_up_endpoints(
                    options["webhook_url"], options["thin_webhook_url"], options["write_secret"]
                )
        except StripeError as exc:
            raise CommandError(f"{exc} What was done stays done; run the command again.") from exc
        self._tell_intents(made)
        self._ask_for_customers()

    def _tell_steps(self, webhook_url: str | None, thin_url: str) -> None:
        planned = {project: planned_for(project) for project in Project.objects.public()}
        for project, kinds in planned.items():
            if kinds:
                words = ", ".join(STEPS[kind] for kind in kinds)
                self.stdout.write(f"{project.name}: would {words}, or adopt what Stripe has.")
        if not any(planned.values()):
            self.stdout.write("Nothing to do: Stripe has every public project.")
        for project in retirement.retiring():
            self.stdout.write(f"{project.name}: {retirement.outlook(project)}.")
        if not portal.configuration_id():
            self.stdout.write("Would configure the customer portal, or adopt what Stripe has.")
        if webhook_url:
            thin_url = thin_url or endpoints.thin_address(webhook_url)
            self.stdout.write(
                f"Would see to it that events are sent to {webhook_url}, thin ones to {thin_url}."
            )

    def _ask_for_customers(self) -> None:
        """Users who were there before Stripe was; the worker makes them customers."""
        count = sum(iter(customers.ensure_customers, 0))
        if count:
            self.stdout.write(
                f"{count} user{'' if count == 1 else 's'} will be customers: the worker sees to it"
                " and to their subscriptions. Runs from before are not billed."
            )

    def _tell_intents(self, made: list[Intent]) -> None:
        for intent in made:
            if intent.state == IntentState.SUCCEEDED:
                self.stdout.write(f"{intent.kind}: {intent.result_id}")
        refused = [intent for intent in made if intent.state != IntentState.SUCCEEDED]
        if refused:
            reasons = "\n".join(
                f"  {one.subject}: {one.error_message or 'a worker is at it; run this again.'}"
                for one in refused
            )
            raise CommandError(f"Stripe has not carried out:\n{reasons}")
        count = len(catalog.plans_on_offer())
        self.stdout.write(f"{count} public project{'' if count == 1 else 's'} on offer at Stripe.")

    def _set_up_endpoints(self, url: str, thin_url: str, secret_file: str | None) -> None:
        for endpoint in endpoints.set_up_endpoints(url, thin_url=thin_url):
            self.stdout.write(made_words(endpoint, secret_file))
            if endpoint.secret and secret_file:
                keep_privately(Path(secret_file), endpoint.secret, setting=endpoint.setting)
        for left in endpoints.left_behind(url, thin_url=thin_url):
            self.stdout.write(left_words(left, webhook_url=url))


def set_up_portal() -> list[Intent]:
    """The intent of the customer portal's configuration, if anything came of it now."""
    before = portal.configuration_id()
    intent = portal.set_up()
    return [] if before and intent.result_id == before else [intent]


def made_words(endpoint: Endpoint, secret_file: str | None) -> str:
    """What is said of an endpoint that is there now; its secret unless a file keeps it."""
    start = f"{endpoint.stripe_id} sends to {endpoint.address}"
    if endpoint.secret:
        if secret_file:
            return f"{start}: secret kept in {secret_file}, for {endpoint.setting}."
        return f"{start}: add this to {endpoint.setting}, it is shown only now:\n{endpoint.secret}"
    words = [
        f"{start}: there already. Its secret, for {endpoint.setting}, is shown once only, when it"
        " is made; roll it in Stripe's dashboard if you have lost it."
    ]
    if endpoint.added:
        words.append(f"It was not told of these events and is now: {', '.join(endpoint.added)}.")
    if endpoint.other_version:
        words.append(
            f"Its events come in {endpoint.other_version}, but this library reads"
            f" {stripe_api.API_VERSION}: each is taken as a hint, and its object fetched again. The"
            " version is fixed when an endpoint is made. To have another, delete the endpoint in"
            " Stripe's dashboard, run this command again, and add the new secret to"
            f" {endpoint.setting}; what happens in between, comp_process_events --from-stripe"
            " fetches."
        )
    return " ".join(words)


def left_words(left: LeftBehind, *, webhook_url: str) -> str:
    """What is said of an endpoint that sends elsewhere."""
    if left.is_thin and left.address == webhook_url:
        return (
            f"{left.stripe_id}: still sends thin events to {left.address}, as earlier versions had"
            " it. They are taken there too, but have an address and secrets of their own now: set"
            " THIN_WEBHOOK_SECRETS, then delete this destination in Stripe's dashboard and take its"
            " secret out of WEBHOOK_SECRETS."
        )
    return (
        f"{left.stripe_id}: still sends to {left.address}. Delete it in Stripe's dashboard if"
        " nothing answers there any more."
    )


def planned_for(project: Project) -> list[str]:
    """The kinds of steps that a project lacks; the price follows product and meter."""
    kinds = [step.kind for step in catalog.steps(project)]
    if {"product.create", "meter.create"} & set(kinds):
        kinds.append("price.create")
    return kinds
