"""A model's page: its form, what is refused at once, and what becomes of what was sent."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from comp_core.inputs import apply_check
from comp_core.models import Run
from comp_core.runner import CheckResult
from comp_core.worker import drain
from comp_users.models import Project
from tests.core.builders import make_inputs, make_profile, make_run
from tests.core.pages import visitor
from tests.testapp.models import DoublingInputs, DoublingRun, ParcelInputs

pytestmark = pytest.mark.django_db(transaction=True)

FORM = "/models/doubling/"
PARCEL = "/models/parcel/"


@pytest.fixture
def parcel() -> None:
    """The model with an upload, open to everybody."""
    Client().get("/models/parcel/")
    Project.objects.update_or_create(
        slug="parcel", defaults={"is_public": True, "server_cost": 1, "name": "Parcel"}
    )


def test_the_models_are_listed_with_their_price() -> None:
    """Two seconds at 36 an hour are two cents."""
    Client().get(FORM)
    page = Client().get("/models/").content.decode()
    assert ("Doubling" in page, "0.02\N{NARROW NO-BREAK SPACE}USD" in page) == (True, True)


def test_the_form_shows_the_limits_of_the_models_validators() -> None:
    """Minimum and maximum reach the browser."""
    page = Client().get(FORM).content.decode()
    assert 'min="0" max="1000"' in page


def test_the_price_is_shown_before_running() -> None:
    """What a usual run costs, what it can cost at most, and that only success is charged."""
    page = Client().get(FORM).content.decode()
    assert "costs 0.02\N{NARROW NO-BREAK SPACE}USD" in page
    assert "no run costs more than 36\N{NARROW NO-BREAK SPACE}USD" in page


def test_sent_inputs_are_saved_and_checked_and_run() -> None:
    """The form leads to the inputs' page, and from there to the finished run."""
    client = visitor(make_profile())
    sent = client.post(FORM, {"number": "21", "run_title": "Mine"})
    while drain():
        pass
    run = Run.objects.get()
    followed = client.get(sent.url)
    assert (followed.url, run.title, run.status) == (run.get_absolute_url(), "Mine", "succeeded")


@pytest.mark.parametrize("number", ["", "abc", "-1", "1001", "nan", "inf", "1e999"])
def test_values_that_the_fields_refuse_are_refused_at_once(number: str) -> None:
    """The form comes back with the error at its field, and nothing is saved."""
    page = visitor(make_profile()).post(FORM, {"number": number})
    text = page.content.decode()
    assert ('class="error-summary"' in text, 'href="#id_number"' in text) == (True, True)
    assert (page.status_code, DoublingInputs.objects.count()) == (200, 0)


def test_errors_are_tied_to_their_field() -> None:
    """Help and error are named by the input's aria-describedby, the error marks it invalid."""
    text = visitor(make_profile()).post(FORM, {"number": "-1"}).content.decode()
    assert 'aria-describedby="id_number_error"' in text
    assert 'id="id_number_error"' in text
    assert 'aria-invalid="true"' in text


def test_a_double_click_is_one_run() -> None:
    """The same form sent twice leads to the same inputs."""
    client = visitor(make_profile())
    form = {"number": "2", "idempotency_key": "one-form"}
    first, second = client.post(FORM, form), client.post(FORM, form)
    assert (first.url, DoublingInputs.objects.count()) == (second.url, 1)


def test_an_edited_form_is_another_run() -> None:
    """Back in the browser, another value, sent again: not the earlier run."""
    client = visitor(make_profile())
    client.post(FORM, {"number": "2", "idempotency_key": "one-form"})
    client.post(FORM, {"number": "3", "idempotency_key": "one-form"})
    while drain():
        pass
    numbers = sorted(DoublingInputs.objects.values_list("number", flat=True))
    assert (numbers, Run.objects.count()) == ([2.0, 3.0], 2)


def test_the_models_own_refusal_comes_back_at_its_field() -> None:
    """After the check the inputs' page is the form again, with the model's words."""
    client = visitor(make_profile())
    address = client.post(FORM, {"number": "13", "run_title": "Unlucky"}).url
    while drain():
        pass
    text = client.get(address).content.decode()
    assert text.count("Thirteen brings bad luck.") == 2
    assert ('value="13.0"' in text, 'value="Unlucky"' in text) == (True, True)


def test_while_the_check_runs_the_page_waits() -> None:
    """It says so, refreshes by itself, and has a link for it."""
    client = visitor(make_profile())
    text = client.get(client.post(FORM, {"number": "1"}).url).content.decode()
    assert "Your inputs are being checked." in text
    assert '<meta http-equiv="refresh" content="2">' in text
    assert "<title>Checking" in text


def test_a_refused_run_says_why_and_can_be_tried_again() -> None:
    """Valid inputs whose run was refused keep their wish; the button submits them."""
    inputs = make_inputs(run_request={"title": "Later"}, errors_warnings={})
    inputs.status = "pending"
    inputs.save()
    inputs.owner.user.profile.is_active = False
    inputs.owner.user.profile.save()
    apply_check(inputs, CheckResult(errors={}, version="1"))
    client = visitor(inputs.owner)
    address = f"/models/doubling/inputs/{inputs.pk}/"
    refused = client.get(address).content.decode()
    inputs.owner.user.profile.is_active = True
    inputs.owner.user.profile.save()
    answer = client.post(address)
    assert "Your account may not run this model." in refused
    assert (answer.url, Run.objects.get().title) == (Run.objects.get().get_absolute_url(), "Later")


def test_a_refusal_at_the_second_try_is_shown_too() -> None:
    """Trying again in vain says why, and changes nothing."""
    inputs = make_inputs(run_request={})
    inputs.owner.user.profile.is_active = False
    inputs.owner.user.profile.save()
    page = visitor(inputs.owner).post(f"/models/doubling/inputs/{inputs.pk}/")
    assert "Your account may not run this model." in page.content.decode()
    assert Run.objects.count() == 0


def test_a_rerun_starts_from_the_earlier_inputs() -> None:
    """The form is filled with the run's values and the new run names its parent."""
    run = make_run(number=77.5)
    client = visitor(run.owner)
    page = client.get(f"{FORM}?from={run.pk}").content.decode()
    client.post(FORM, {"number": "78", "inputs_source": str(run.inputs.pk)})
    while drain():
        pass
    child = DoublingRun.objects.exclude(pk=run.pk).get()
    assert ('value="77.5"' in page, child.parent_id, child.inputs.number) == (
        True,
        run.pk,
        78.0,
    )


def test_visitors_are_asked_to_log_in_and_keep_what_they_typed() -> None:
    """Run leads to the log-in, and after it the form is as it was left."""
    user = make_profile("ann").user
    client = Client()
    sent = client.post(FORM, {"number": "55.5"})
    client.force_login(user)
    page = client.get(FORM).content.decode()
    assert (sent.url, 'value="55.5"' in page) == (f"/accounts/login/?next={FORM}", True)
    assert DoublingInputs.objects.count() == 0


def test_a_post_needs_the_token() -> None:
    """The cap on uploads moved the check of the token, it did not remove it."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_profile().user)
    answer = client.post(FORM, {"number": "1"})
    assert (answer.status_code, DoublingInputs.objects.count()) == (403, 0)


def test_a_post_with_the_token_passes() -> None:
    """And with it the form is taken."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_profile().user)
    client.get(FORM)
    token = client.cookies["csrftoken"].value
    answer = client.post(FORM, {"number": "1", "csrfmiddlewaretoken": token})
    assert (answer.status_code, DoublingInputs.objects.count()) == (302, 1)


@pytest.mark.usefixtures("parcel")
def test_an_upload_over_the_cap_is_refused_in_words(settings: Any) -> None:
    """The sentence names the limit; nothing is saved, neither row nor file."""
    settings.COMP_CORE = {"MAX_UPLOAD_BYTES": 1000}
    big = SimpleUploadedFile("big.csv", b"1" * 1001)
    page = visitor(make_profile()).post(PARCEL, {"document": big, "tree": "{}"})
    text = page.content.decode()
    assert text.count("The file is larger than") == 2
    assert (page.status_code, ParcelInputs.objects.count()) == (200, 0)
    assert not storages["default"].exists("uploads/big.csv")


@pytest.mark.usefixtures("parcel")
def test_an_upload_at_the_cap_is_taken_under_its_name(settings: Any) -> None:
    """And shown on the run's page by the name that the user gave it."""
    settings.COMP_CORE = {"MAX_UPLOAD_BYTES": 1000}
    file = SimpleUploadedFile("my data.csv", b"1" * 1000)
    client = visitor(make_profile())
    answer = client.post(PARCEL, {"document": file, "tree": "{}"})
    inputs = ParcelInputs.objects.get()
    assert (answer.status_code, inputs.document.size, inputs.adjustment) == (
        302,
        1000,
        {"document": "my data.csv"},
    )


@pytest.mark.usefixtures("parcel")
@pytest.mark.parametrize("lost_bytes", [1, 20, 60, 120])
def test_an_upload_that_broke_off_is_no_wish(lost_bytes: int) -> None:
    """Half a table, or none in its place, would be run and charged for."""
    form = {"tree": "{}", "document": SimpleUploadedFile("a.csv", b"a,b\n1,2\n3,4\n")}
    body = encode_multipart(BOUNDARY, form).rstrip()[: -2 - lost_bytes]
    answer = visitor(make_profile()).generic("POST", PARCEL, body, content_type=MULTIPART_CONTENT)
    assert (answer.status_code, ParcelInputs.objects.count()) == (400, 0)


@pytest.mark.usefixtures("parcel")
def test_files_that_nobody_asked_for_are_dropped() -> None:
    """A file under another name is not even received."""
    stray = SimpleUploadedFile("stray.bin", b"1" * 10)
    answer = visitor(make_profile()).post(PARCEL, {"stray": stray, "tree": "{}"})
    assert (answer.status_code, len(answer.wsgi_request.FILES)) == (302, 0)


@pytest.mark.usefixtures("parcel")
def test_a_rerun_keeps_the_file() -> None:
    """Without a new choice the earlier upload is used again, and the form says so."""
    client = visitor(make_profile())
    file = SimpleUploadedFile("kept.csv", b"a,b\n1,2\n")
    client.post(PARCEL, {"document": file, "tree": "{}"})
    first = ParcelInputs.objects.get()
    page = client.get(f"{PARCEL}?from={first.pk}").content.decode()
    client.post(PARCEL, {"tree": "{}", "words": "again", "inputs_source": str(first.pk)})
    again = ParcelInputs.objects.get(words="again")
    assert ("kept.csv" in page, again.document.name) == (True, first.document.name)


@pytest.mark.usefixtures("parcel")
@pytest.mark.parametrize("flag", [{}, {"flag": "on"}])
def test_falsy_values_arrive(flag: dict[str, str]) -> None:
    """An unticked box is False, empty optional fields are empty, zero is zero."""
    form = {"tree": "0", "price": "0", **flag}
    visitor(make_profile()).post(PARCEL, form)
    inputs = ParcelInputs.objects.get()
    values = (inputs.flag, inputs.tree, inputs.price, inputs.day, inputs.words)
    assert values == (bool(flag), 0, 0, None, "")


def test_an_unknown_model_is_a_404() -> None:
    """A slug that nobody declares."""
    assert Client().get("/models/nothing/").status_code == 404


@pytest.mark.parametrize("origin", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_rerun_of_nothing_is_the_plain_form(origin: str) -> None:
    """An id that leads nowhere is no error."""
    assert Client().get(f"{FORM}?from={origin}").status_code == 200
