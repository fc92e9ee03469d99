"""What the host's test does in a process of its own: migrate, run both models, go back and forth.

Writes one JSON object to standard output.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import django
from django.core.management import call_command

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  # needs the apps
from django.test import Client  # noqa: E402
from members.models import Guest, Pilot  # noqa: E402
from one.models import ModelInputs as InputsOfOne  # noqa: E402
from two.models import ModelInputs as InputsOfTwo  # noqa: E402

from comp_core.inputs import save_inputs  # noqa: E402
from comp_core.models import Run  # noqa: E402
from comp_core.worker import work_until_idle  # noqa: E402
from comp_users.models import Profile  # noqa: E402

PAGES = ("/accounts/signup/", "/accounts/profile/", "/models/", "/models/model-one/")


def migrations() -> str:
    """The answer of ``makemigrations --check`` after the first migrations were made."""
    call_command("check", fail_level="WARNING", stdout=io.StringIO())
    call_command("makemigrations", "members", "one", "two", verbosity=0)
    output = io.StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=output)
    call_command("migrate", verbosity=0)
    return output.getvalue().strip()


def runs() -> list[list[str]]:
    """Both models' runs, by one member, with another as a parameter."""
    owner = get_user_model().objects.create_user("1").profile
    reviewer = Pilot.objects.create(number="2")
    for kind in (InputsOfOne, InputsOfTwo):
        save_inputs(kind(owner=owner, reviewer=reviewer), run_request={})
    work_until_idle()
    found = Run.objects.select_subclasses().order_by("project__slug")
    return [[type(run).__module__, run.status, run.error_message] for run in found]


def pages() -> list[int]:
    client = Client()
    client.force_login(Guest.objects.create(number="3"))
    return [client.get(page, follow=True).status_code for page in PAGES]


def own_pages() -> list[int]:
    """The pages of a member's own run and inputs; this site's members know no staff."""
    run = Run.objects.select_subclasses().order_by("project__slug")[0]
    client = Client()
    client.force_login(run.owner.user)
    addresses = (run.get_absolute_url(), f"/models/model-one/inputs/{run.inputs_id}/")
    return [client.get(address, follow=True).status_code for address in addresses]


def there_and_back() -> int:
    """How many members have a profile after the library was taken away and put back."""
    for app in ("one", "two", "comp_core", "comp_users"):
        call_command("migrate", app, "zero", verbosity=0)
    call_command("migrate", verbosity=0)
    return Profile.objects.count()


def main() -> None:
    told: dict[str, Any] = {"migrations": migrations(), "runs": runs()}
    told |= {"pages": pages(), "own_pages": own_pages()}
    json.dump({**told, "profiles": there_and_back()}, sys.stdout)


main()
