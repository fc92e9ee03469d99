"""Set the catalogue up at Stripe: ``manage.py comp_setup_stripe``."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comp_billing import catalog, endpoints, stripe_api
from comp_billing.exceptions import StripeError
from comp_billing.models import Intent, IntentState
from comp_users.models import Project

STEPS = {
    "product.create": "create the product",
    "product.update": "bring the product up to date",
    "meter.create": "create the meter",
    "meter.update": "rename the meter",
    "price.create": "create the metered price",
}


class Command(BaseCommand):
    """Makes what is missing, adopts what is there, changes nothing twice. Run it as you like."""

    help = (
        "Creates the product, the meter and the metered price of every public project at Stripe,"
        " and the webhook endpoint when its address is given. Running it again changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Tell what would be done, and call nobody."
        )
        parser.add_argument(
            "--webhook-url", help="Address of this site's webhook view, as Stripe reaches it."
        )
        parser.add_argument(
            "--write-secret",
            metavar="FILE",
            help="File to add the signing secrets to, comma-separated, instead of printing them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not stripe_api.is_configured():
            raise CommandError('No Stripe key: set COMP_BILLING["SECRET_KEY"] first.')
        if options["dry_run"]:
            self._tell_steps(options["webhook_url"])
            return
        if options["write_secret"]:
            make_private(Path(options["write_secret"]))
        try:
            made = catalog.set_up_catalog()
            if options["webhook_url"]:
                self._set_up_endpoint(options["webhook_url"], options["write_secret"])
        except StripeError as exc:
            raise CommandError(f"{exc} What was done stays done; run the command again.") from exc
        self._tell_intents(made)

    def _tell_steps(self, webhook_url: str | None) -> None:
        planned = {project: planned_for(project) for project in Project.objects.public()}
        for project, kinds in planned.items():
            if kinds:
                words = ", ".join(STEPS[kind] for kind in kinds)
                self.stdout.write(f"{project.name}: would {words}, or adopt what Stripe has.")
        if not any(planned.values()):
            self.stdout.write("Nothing to do: Stripe has every public project.")
        if webhook_url:
            self.stdout.write(f"Would see to it that all events are sent to {webhook_url}.")

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

    def _set_up_endpoint(self, url: str, secret_file: str | None) -> None:
        for endpoint in endpoints.set_up_endpoints(url):
            if not endpoint.secret:
                self.stdout.write(
                    f"{endpoint.stripe_id}: there already. Its secret is shown once only, when"
                    " it is made; roll it in Stripe's dashboard if you have lost it."
                )
            elif secret_file:
                keep_privately(Path(secret_file), endpoint.secret)
                self.stdout.write(f"{endpoint.stripe_id}: secret kept in {secret_file}")
            else:
                self.stdout.write(
                    f"{endpoint.stripe_id}: add this to WEBHOOK_SECRETS, it is shown only now:\n"
                    f"{endpoint.secret}"
                )
        for stripe_id, address in endpoints.left_behind(url):
            self.stdout.write(
                f"{stripe_id}: still sends to {address}. Delete it in Stripe's dashboard if"
                " nothing answers there any more."
            )


def planned_for(project: Project) -> list[str]:
    """The kinds of steps that a project lacks; the price follows product and meter."""
    kinds = [step.kind for step in catalog.steps(project)]
    if {"product.create", "meter.create"} & set(kinds):
        kinds.append("price.create")
    return kinds


def make_private(path: Path) -> None:
    """See to it, before a secret is made that is shown once only, that it can be kept: a file
    that only its owner may read. Raises CommandError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise CommandError(f"{path} cannot be written to: {exc.strerror}.") from exc


def keep_privately(path: Path, secret: str) -> None:
    """Add a secret to a file of one comma-separated line that only its owner may read."""
    known = [entry for entry in read_secrets(path) if entry != secret]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(",".join([*known, secret]) + "\n")


def read_secrets(path: Path) -> list[str]:
    """The secrets kept in a file; none when there is no file."""
    if not path.exists():
        return []
    return [entry.strip() for entry in path.read_text("utf-8").split(",") if entry.strip()]
