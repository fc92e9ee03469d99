"""System checks of a host's own kinds of Stripe objects: each mistake with its way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.test.utils import isolate_apps

from comp_billing import mirror, shapes
from comp_billing.kind_checks import check_kinds, mistakes
from comp_billing.models import Charge, Customer, StripeObject


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kinds and models of a test are forgotten with it."""
    kinds = dict(mirror.KINDS)
    with isolate_apps("tests.testapp"):
        yield
    mirror.KINDS.clear()
    mirror.KINDS.update(kinds)


def kind(name: str = "Refund", **attributes: Any) -> Any:
    """A model as a host writes it, with what is different."""
    values = {
        "__module__": "tests.testapp.models",
        "Meta": type("Meta", (StripeObject.Meta,), {"app_label": "testapp"}),
        "kind": "refund",
        "charge": models.ForeignKey(Charge, models.PROTECT, null=True, related_name="+"),
        "amount": models.BigIntegerField(null=True),
        "columns": classmethod(
            lambda cls, data: {
                "charge_id": shapes.ref(data.get("charge")),
                "amount": shapes.integer(data.get("amount")),
            }
        ),
    }
    chosen = {key: value for key, value in {**values, **attributes}.items() if value != "none"}
    return type(name, (StripeObject,), chosen)


def reading(**columns: Any) -> Any:
    """A ``columns`` that always answers this."""
    return classmethod(lambda cls, data: columns)


def found(model: Any) -> list[tuple[str | None, Any, str]]:
    return [(message.id, message.obj, message.msg) for message in mistakes(model)]


def test_the_library_s_own_kinds_pass() -> None:
    """All that are installed here."""
    assert check_kinds(None) == []


def test_a_sensible_kind_passes() -> None:
    """With a parent, a column, and a foreign key of its own that Stripe does not tell."""
    own = models.ForeignKey(Customer, models.PROTECT, related_name="+")
    model = mirror.register(kind(owner=own, tombstone_clears=("charge_id",)))
    assert found(model) == []


def test_a_kind_that_is_not_registered_is_told() -> None:
    """Its table would stay empty."""
    model = kind()
    assert found(model) == [
        (
            "comp_billing.W012",
            model,
            "Objects of the kind 'refund' are not mirrored: the model is not registered.",
        )
    ]


@pytest.mark.parametrize("name", ["none", ""])
def test_a_kind_without_a_name_is_told(name: str) -> None:
    """And takes no other object's place meanwhile."""
    before = dict(mirror.KINDS)
    model = mirror.register(kind(kind=name))
    assert (found(model), mirror.KINDS) == (
        [("comp_billing.E020", model, "The kind of Stripe object has no name.")],
        before,
    )


def test_a_second_model_of_a_kind_is_told() -> None:
    """The first stays in its place."""
    model = mirror.register(kind(kind="customer"))
    assert (found(model), mirror.KINDS["customer"]) == (
        [
            (
                "comp_billing.E021",
                model,
                "comp_billing.Customer mirrors objects of the kind 'customer' already.",
            )
        ],
        Customer,
    )


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        (classmethod(lambda cls, data: {"amount": data["amount"]}), "KeyError"),
        ("none", "NotImplementedError"),
    ],
)
def test_a_kind_that_cannot_read_what_is_missing_is_told(columns: Any, error: str) -> None:
    """Stripe leaves fields out; every such event would fail."""
    model = mirror.register(kind(columns=columns))
    said = f"columns() fails for an object with nothing but an id: {error}."
    assert found(model) == [("comp_billing.E022", model, said)]


@pytest.mark.parametrize("name", ["charge", "amuont", "stripe_id", "data", "fetch_at"])
def test_columns_that_are_not_there_or_not_the_kinds_own_are_told(name: str) -> None:
    """With the names that would do."""
    model = mirror.register(kind(columns=reading(**{name: None, "amount": 1})))
    (message,) = mistakes(model)
    assert (message.id, message.msg, str(message.hint).partition(";")[0]) == (
        "comp_billing.E023",
        f"columns() names what is no column of its own: {name}.",
        "Its own columns are amount, charge_id",
    )


@pytest.mark.parametrize(
    ("name", "field", "what"),
    [
        ("charge", models.ForeignKey(Charge, models.PROTECT, related_name="+"), "foreign key"),
        ("amount", models.BigIntegerField(), "column"),
    ],
)
def test_what_stripe_may_leave_out_has_to_be_nullable(name: str, field: Any, what: str) -> None:
    """A row could not be written otherwise."""
    model = mirror.register(kind(**{name: field}))
    said = f"The {what} has to be nullable: columns() answers None for what Stripe leaves out."
    assert found(model) == [("comp_billing.E024", model._meta.get_field(name), said)]


@pytest.mark.parametrize("is_registered", [True, False])
def test_a_parent_has_to_be_registered_before(is_registered: bool) -> None:
    """Tables are written in that order, so that no two writers wait for each other."""
    parent = kind("Dispute", kind="dispute")
    link = models.ForeignKey(parent, models.PROTECT, null=True, related_name="+")
    model = mirror.register(kind(dispute=link, columns=reading(dispute_id=None)))
    mirror.register(parent) if is_registered else None
    said = "The foreign key points at testapp.Dispute, which is not registered before."
    assert found(model) == [("comp_billing.E025", model._meta.get_field("dispute"), said)]


@pytest.mark.parametrize("name", ["amuont", "stripe_id", "charge"])
def test_what_a_tombstone_cannot_give_up_is_told(name: str) -> None:
    """It would be no column, or not nullable."""
    model = mirror.register(kind(tombstone_clears=(name, "amount")))
    said = f"tombstone_clears names what is no nullable column: {name}."
    assert found(model) == [("comp_billing.E026", model, said)]


@pytest.mark.parametrize("given", [{"status": "all"}, (), ("status",)])
def test_lists_are_named_by_a_tuple_of_their_parameters(given: Any) -> None:
    """One dict, as it was once, would be read as a list of nothing."""
    model = mirror.register(kind(list_params=given))
    assert found(model) == [("comp_billing.E027", model, "list_params is no tuple of dicts.")]


def test_each_mistake_shows_a_way_out() -> None:
    """A hint with every message."""
    wrong = mirror.register(kind(columns=reading(amuont=1), tombstone_clears=("x",)))
    others = (kind("Nameless", kind=""), kind("Second", kind="invoice"))
    messages = [message for model in (wrong, *others) for message in mistakes(model)]
    assert ([bool(message.hint) for message in messages], len(messages)) == ([True] * 4, 4)
