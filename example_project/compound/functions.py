"""Savings with and without compound interest: the functions that the library calls."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from comp_core.outputs import Table

CENT = Decimal("0.01")


def get_version() -> str:
    return "1.0.0"


def run(inputs: Any) -> list[Table]:
    balance, paid_out = Decimal(inputs.principal), Decimal(0)
    rows: list[list[Any]] = []
    for year in range(1, inputs.years + 1):
        interest = (balance * Decimal(inputs.rate) / 100).quantize(CENT, ROUND_HALF_EVEN)
        if inputs.reinvest:
            balance += interest
        else:
            paid_out += interest
        rows.append([year, str(interest), str(balance), str(paid_out)])
    return [Table("Savings", ["year", "interest", "balance", "paid out"], rows)]
