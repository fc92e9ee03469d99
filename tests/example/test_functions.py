"""The example's models: their science, and what they refuse."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from compound import functions as compound
from descriptive import functions as descriptive
from epidemic import functions as epidemic

from comp_core.outputs.writing import write_outputs


def statistics(data: str = "", **values: Any) -> SimpleNamespace:
    """Inputs of the descriptive statistics."""
    return SimpleNamespace(
        **{"data": data, "confidence": 95, "resamples": 1000, "seed": 1, **values}
    )


def epidemic_inputs(**values: Any) -> SimpleNamespace:
    defaults = {
        "beta": 0.3,
        "gamma": 0.1,
        "population": 1000,
        "infected": 1,
        "days": 160,
        "steps_per_day": 10,
    }
    return SimpleNamespace(**{**defaults, **values})


def table(path: Path, content: str) -> str:
    file = path / "table.csv"
    file.write_text(content)
    return str(file)


def test_statistics_of_known_numbers(tmp_path: Path) -> None:
    """1 to 5 and a gap: every figure is known."""
    data = table(tmp_path, "n\n1\n2\n3\n4\n5\nNA\n")
    [result, _] = descriptive.run(statistics(data))
    row = dict(zip(result.columns, result.rows[0], strict=True))
    intervals = {name: row.pop(name) for name in list(row) if name.endswith(("low", "high"))}
    assert row == {
        "column": "n",
        "count": 5,
        "missing": 1,
        "mean": 3.0,
        "standard deviation": 1.58114,
        "minimum": 1.0,
        "lower quartile": 2.0,
        "median": 3.0,
        "upper quartile": 4.0,
        "maximum": 5.0,
        "skewness": 0.0,
    }
    assert 1 <= intervals["mean, low"] < 3 < intervals["mean, high"] <= 5


def test_the_same_seed_gives_the_same_result() -> None:
    """And another seed another interval."""
    one, same, other = (descriptive.run(statistics(seed=seed))[0].rows for seed in (1, 1, 2))
    assert (one == same, one == other) == (True, False)


def test_the_interval_covers_the_mean_as_often_as_it_promises() -> None:
    """Of the sample's population the 99 % interval is wider than the 90 % one."""
    widths = []
    for confidence in (90, 99):
        [result, _] = descriptive.run(statistics(confidence=confidence))
        row = dict(zip(result.columns, result.rows[1], strict=True))
        widths.append(row["mean, high"] - row["mean, low"])
    assert widths[0] < widths[1]


def test_a_single_value_has_no_spread(tmp_path: Path) -> None:
    """What is not defined is left empty."""
    [result, _] = descriptive.run(statistics(table(tmp_path, "n\n7\n")))
    row = dict(zip(result.columns, result.rows[0], strict=True))
    assert (row["mean"], row["standard deviation"], row["skewness"]) == (7.0, None, None)


def test_a_bad_table_is_refused_at_its_field(tmp_path: Path) -> None:
    """Before the run, in words."""
    assert descriptive.validate(statistics(table(tmp_path, "a\nx\n"))) == {
        "data": ["No column holds numbers only, so there is nothing to compute."]
    }


def test_more_work_than_the_deadline_allows_is_refused(tmp_path: Path) -> None:
    """With the number that would do."""
    data = table(tmp_path, "n\n" + "1\n" * 10_000)
    refused = descriptive.validate(statistics(data, resamples=1_000_000))
    assert refused == {"resamples": ["Too many for a table of this size: choose 200,000 or fewer."]}


def test_an_epidemic_follows_its_final_size() -> None:
    """The share ever infected solves Kermack and McKendrick's equation z = 1 - exp(-R0 z)."""
    [summary, *_] = epidemic.run(epidemic_inputs(population=10**6, days=1000))
    figures = dict(summary.rows)
    assert figures["Basic reproduction number"] == 3.0
    assert figures["Ever infected, share of the population"] == pytest.approx(0.9405, abs=0.0002)


def test_nobody_is_lost_in_an_epidemic() -> None:
    """Susceptible, infected and recovered add up on each day."""
    rows = epidemic.course(epidemic_inputs())
    assert [row for row in rows if abs(sum(row[1:]) - 1000) > 0.2] == []
    assert (len(rows), rows[0]) == (161, [0, 999.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"infected": 1000}, "infected"),
        ({"infected": 2000}, "infected"),
        ({"days": 1000, "steps_per_day": 50_000}, "steps_per_day"),
    ],
)
def test_impossible_epidemics_are_refused(values: dict[str, int], field: str) -> None:
    """At the field that is wrong."""
    assert list(epidemic.validate(epidemic_inputs(**values))) == [field]


def test_the_chart_holds_its_data_and_words() -> None:
    """As strict JSON, with an alternative text."""
    outputs = epidemic.run(epidemic_inputs(days=1))
    chart = outputs[1]
    assert len(json.loads(json.dumps(chart.spec, allow_nan=False))["data"]["values"]) == 6
    assert chart.alt.startswith("Infections peak on day 1")


@pytest.mark.parametrize(
    ("reinvest", "last"),
    [(True, [2, "10.10", "1020.10", "0"]), (False, [2, "10.00", "1000.00", "20.00"])],
)
def test_savings(reinvest: bool, last: list[Any]) -> None:
    """Two years at one per cent, left in the account or paid out; in exact cents."""
    inputs = SimpleNamespace(
        principal=Decimal("1000.00"), rate=Decimal("1.00"), years=2, reinvest=reinvest
    )
    [savings] = compound.run(inputs)
    assert savings.rows[-1] == last


def test_outputs_of_all_models_can_be_stored(tmp_path: Path) -> None:
    """Nothing in them is refused by the library."""
    outputs = [*descriptive.run(statistics()), *epidemic.run(epidemic_inputs(days=2))]
    entries = write_outputs(outputs, str(tmp_path), max_bytes=10**6, max_sum_bytes=10**7)
    assert len(entries) == len(outputs)
