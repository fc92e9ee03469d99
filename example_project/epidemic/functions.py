"""The SIR model: the functions that the library calls. Standard library only.

W. O. Kermack and A. G. McKendrick, A contribution to the mathematical theory of epidemics (1927).
"""

from __future__ import annotations

import csv
import io
from typing import Any

from comp_core.outputs import Chart, File, Table
from comp_core.progress import track

State = tuple[float, float]
# About twenty seconds on one core.
MAX_STEPS = 10_000_000
HEADER = ["day", "susceptible", "infected", "recovered"]


def get_version() -> str:
    return "1.0.0"


def validate(inputs: Any) -> dict[str, list[str]]:
    if inputs.infected >= inputs.population:
        return {"infected": ["Must be smaller than the population."]}
    if inputs.days * inputs.steps_per_day > MAX_STEPS:
        most = MAX_STEPS // inputs.days
        return {"steps_per_day": [f"Too many for so many days: choose {most:,} or fewer."]}
    return {}


def run(inputs: Any) -> list[Table | Chart | File]:
    days = course(inputs)
    peak = max(days, key=lambda row: row[2])
    ever = inputs.population - days[-1][1]
    summary = [
        ["Basic reproduction number", round(inputs.beta / inputs.gamma, 3)],
        ["Day of the peak", peak[0]],
        ["Infected at the peak", peak[2]],
        ["Ever infected", ever],
        ["Ever infected, share of the population", round(ever / inputs.population, 4)],
    ]
    alt = f"Infections peak on day {peak[0]} at {peak[2]:,.0f} of {inputs.population:,} people."
    return [
        Table("Summary", ["figure", "value"], summary),
        Chart("Course of the epidemic", chart(days), alt=alt),
        Table("Day by day", HEADER, days),
        File("course.csv", as_csv(days), title="Day by day as CSV"),
    ]


def course(inputs: Any) -> list[list[Any]]:
    """Rows of HEADER from day 0 to the last, rounded to a tenth of a person."""
    size = float(inputs.population)
    state = (size - inputs.infected, float(inputs.infected))
    rows = [_row(0, state, size)]
    for day in track(range(1, inputs.days + 1), "Day"):
        for _ in range(inputs.steps_per_day):
            state = _step(state, 1 / inputs.steps_per_day, inputs.beta / size, inputs.gamma)
        rows.append(_row(day, state, size))
    return rows


def _row(day: int, state: State, size: float) -> list[Any]:
    susceptible, infected = state
    return [day, *(round(n, 1) for n in (susceptible, infected, size - susceptible - infected))]


def _step(state: State, h: float, beta: float, gamma: float) -> State:
    """One classical Runge-Kutta step of length h days."""
    s, i = state
    k1 = _slope(s, i, beta, gamma)
    k2 = _slope(s + h / 2 * k1[0], i + h / 2 * k1[1], beta, gamma)
    k3 = _slope(s + h / 2 * k2[0], i + h / 2 * k2[1], beta, gamma)
    k4 = _slope(s + h * k3[0], i + h * k3[1], beta, gamma)
    return (
        s + h / 6 * (k1[0] + 2 * k2[0] + 2 * k3[0] + k4[0]),
        i + h / 6 * (k1[1] + 2 * k2[1] + 2 * k3[1] + k4[1]),
    )


def _slope(s: float, i: float, beta: float, gamma: float) -> State:
    infections = beta * s * i
    return -infections, infections - gamma * i


def chart(days: list[list[Any]]) -> dict[str, Any]:
    """A Vega-Lite specification with its data inside."""
    values = [
        {"day": row[0], "people": people, "group": group}
        for row in days
        for group, people in zip(HEADER[1:], row[1:], strict=True)
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": values},
        "mark": "line",
        "encoding": {
            "x": {"field": "day", "type": "quantitative", "title": "Day"},
            "y": {"field": "people", "type": "quantitative", "title": "People"},
            "color": {"field": "group", "type": "nominal", "title": None},
        },
    }


def as_csv(days: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(days)
    return text.getvalue()
