"""The story as a reader sees it in a terminal."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from comp_billing import money
from demo.figures import LineFigures, RunFigures


class Report:
    """Tells the steps as they happen, with a bar for runs, and prints the figures at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None

    def step(self, text: str) -> None:
        self._end_bar()
        self.console.print(f"[bold]·[/] {text}", highlight=False)

    def progress(self, fraction: float, text: str) -> None:
        """Move the bar of the run under way; a terminal is asked for nothing more often than
        it can show."""
        if self._progress is None:
            self._progress = Progress(
                TextColumn("  "),
                BarColumn(40),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=self.console,
            )
            self._progress.add_task(text, total=1.0)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=fraction, description=text)
        if fraction >= 1:
            self._end_bar()

    def _end_bar(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def figures(self, runs: list[RunFigures], lines: list[LineFigures], currency: str) -> None:
        self._end_bar()
        self.console.print(_runs_table(runs, currency))
        self.console.print(_lines_table(lines, currency))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        numeric = column not in {"Run", "Project", "Usage record", "Invoice", "Status", ""}
        table.add_column(column, justify="right" if numeric else "left")
    return table


def _mark(agrees: bool) -> str:
    return "[green]agrees[/]" if agrees else "[red]DIFFERS[/]"


def _runs_table(runs: list[RunFigures], currency: str) -> Table:
    table = _table(
        "Runs and their receipts",
        "Run",
        "Seconds",
        f"Cost ({currency.upper()})",
        "Units",
        "Usage record",
        "",
    )
    for run in runs:
        table.add_row(
            run.title,
            f"{run.seconds:.3f}",
            f"{run.cost:.6f}",
            str(run.quantity),
            run.state,
            _mark(run.agrees),
        )
    return table


def _lines_table(lines: list[LineFigures], currency: str) -> Table:
    table = _table(
        "Usage, meter and invoice",
        "Project",
        "Receipts",
        "Usage records",
        "Meter total",
        "Invoice line",
        "Residue",
        "Invoice",
        "Status",
        "",
    )
    for line in lines:
        table.add_row(
            line.project,
            f"{line.receipts:.6f}",
            str(line.recorded),
            str(line.metered),
            money.format_amount(line.billed_amount, currency),
            _residue(line.residue, currency),
            line.invoice,
            line.invoice_status,
            _mark(line.agrees),
        )
    return table


def _residue(minor: Decimal, currency: str) -> str:
    return f"{minor.scaleb(-money.exponent(currency)):+f}"


def as_json(runs: list[RunFigures], lines: list[LineFigures]) -> str:
    """The same figures for programs: amounts as text, so that nothing is rounded on the way."""

    def row(figures: RunFigures | LineFigures) -> dict[str, Any]:
        values = {name: str(value) for name, value in vars(figures).items()}
        return {**values, "agrees": figures.agrees}

    return json.dumps({"runs": [row(r) for r in runs], "lines": [row(x) for x in lines]}, indent=2)
