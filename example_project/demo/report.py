"""The story as a reader sees it in a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from comp_billing import money
from demo.figures import InvoiceFigures, LineFigures, RunFigures


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

    def figures(
        self,
        runs: list[RunFigures],
        lines: list[LineFigures],
        invoices: list[InvoiceFigures],
        currency: str,
    ) -> None:
        self._end_bar()
        self.console.print()
        self.console.print(_runs_table(runs, currency))
        settled = {invoice.invoice: invoice for invoice in invoices}
        for number, of_invoice in groupby(lines, key=lambda line: line.invoice):
            self.console.print()
            self.console.print(_invoice_table(list(of_invoice), currency))
            if number in settled:
                self._settlement(settled[number], currency)

    def _settlement(self, invoice: InvoiceFigures, currency: str) -> None:
        for text in (
            settlement(invoice, currency),
            f"Signed events received: {', '.join(invoice.events)}",
        ):
            self.console.print(Padding(text, (0, 0, 0, 2)), highlight=False)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)


def _mark(agrees: bool) -> str:
    return "[green]agrees[/]" if agrees else "[red]DIFFERS[/]"


def _runs_table(runs: list[RunFigures], currency: str) -> Table:
    table = _table("Runs: receipt = usage record × unit")
    table.add_column("Run")
    for column in ("Seconds", f"Cost ({currency.upper()})", "Usage record"):
        table.add_column(column, justify="right")
    table.add_column("At Stripe")
    table.add_column("")
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


def _invoice_table(lines: list[LineFigures], currency: str) -> Table:
    """One column per project, from what users were told down to what Stripe billed."""
    table = _table(
        f"Invoice {lines[0].invoice} · {lines[0].invoice_status} · "
        f"period to {lines[0].period_end:%Y-%m-%d}"
    )
    table.add_column("")
    for line in lines:
        table.add_column(line.project, justify="right")
    facts: dict[str, Callable[[LineFigures], str]] = {
        f"Receipts ({currency.upper()})": lambda line: f"{line.receipts:.6f}",
        "Usage records": lambda line: str(line.recorded),
        "Meter total": lambda line: str(line.metered),
        "Invoice line": lambda line: money.format_amount(line.billed_amount, currency),
        "Residue of rounding": lambda line: _residue(line.residue, currency),
        "": lambda line: _mark(line.agrees),
    }
    for name, fact in facts.items():
        table.add_row(name, *(fact(line) for line in lines))
    return table


def settlement(invoice: InvoiceFigures, currency: str) -> str:
    """In a sentence, where an invoice's money came from."""
    total, charged, carried = (
        money.format_amount(amount, currency)
        for amount in (invoice.total, invoice.charged, abs(invoice.carried_over))
    )
    if invoice.status != "paid":
        return f"{total} is not paid yet: the invoice is {invoice.status}."
    if invoice.charged and invoice.carried_over < 0:
        return f"{charged} was charged to the card: {total} and {carried} carried over from before."
    if invoice.charged:
        return f"{charged} was charged to the card."
    if invoice.carried_over > 0:
        return (
            f"Paid without a charge: {total} is below Stripe's least charge and was carried over, "
            "on the customer's balance, to the next invoice."
        )
    return f"Paid without a charge: {total} came from the customer's balance."


def _residue(minor: Decimal, currency: str) -> str:
    """Minor units as currency units, signed, to the millionth."""
    return f"{minor.scaleb(-money.exponent(currency)):+.6f}"


def as_json(
    runs: list[RunFigures], lines: list[LineFigures], invoices: list[InvoiceFigures]
) -> str:
    """The same figures for programs: amounts as text, so that nothing is rounded on the way."""

    def row(figures: RunFigures | LineFigures | InvoiceFigures) -> dict[str, Any]:
        values = {
            name: list(value) if isinstance(value, tuple) else str(value)
            for name, value in vars(figures).items()
        }
        return {**values, "agrees": figures.agrees}

    told: dict[str, Sequence[RunFigures | LineFigures | InvoiceFigures]] = {
        "runs": runs,
        "lines": lines,
        "invoices": invoices,
    }
    return json.dumps({name: [row(each) for each in rows] for name, rows in told.items()}, indent=2)
