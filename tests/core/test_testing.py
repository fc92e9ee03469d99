"""The contract kit for model authors."""

from __future__ import annotations

import json

import pytest
from django.core.files.base import ContentFile

from comp_core.exceptions import UnknownModel
from comp_core.testing import ContractBroken, check_model


def test_a_model_that_keeps_the_contract() -> None:
    """The kit answers version and outputs, as a worker would store them."""
    checked = check_model("doubling", {"number": 4})
    [table] = checked.outputs
    assert (checked.version, table["title"], json.loads(table["content"])["rows"]) == (
        "1.0.0",
        "Result",
        [[4, 8]],
    )


def test_an_upload() -> None:
    """A file parameter is given without storing anything."""
    checked = check_model("parcel", {"document": ContentFile(b"x", name="x.csv")})
    assert b'"x.csv"' in checked.outputs[0]["content"]


@pytest.mark.parametrize(
    ("slug", "inputs", "words"),
    [
        ("doubling", {"number": 13}, "refuses the inputs: {'number': ['Thirteen"),
        ("doubling", {"number": -1}, "fields of doubling refuse"),
        ("doubling", {"nummer": 1}, "fields of doubling refuse"),
        ("unruly", {"behaviour": "raises"}, "run() failed: The reservoir is empty"),
        ("unruly", {"behaviour": "check_raises"}, "validate() failed: The check itself"),
        ("broken", {}, "No module named 'a_library"),
    ],
)
def test_broken_contracts(slug: str, inputs: dict[str, object], words: str) -> None:
    """What is wrong is said with its step."""
    with pytest.raises(ContractBroken) as caught:
        check_model(slug, inputs)
    assert words in str(caught.value)


def test_an_unknown_model() -> None:
    """A slug that nobody declares is told."""
    with pytest.raises(UnknownModel):
        check_model("nowhere")
