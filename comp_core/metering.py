"""The port through which runs meet money. comp_core never learns what stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from comp_core.conf import conf

if TYPE_CHECKING:
    from comp_core.models.run import Run

SECONDS_PER_HOUR = Decimal(3600)
# Costs are kept to the millionth of the currency unit. This is the one place that rounds them.
COST_STEP = Decimal("0.000001")


def cost_of(*, seconds: Decimal, server_cost: Decimal | None) -> Decimal:
    """Currency units for a run time at an hourly rate, rounded half-even to the millionth."""
    if not server_cost:
        return Decimal(0).quantize(COST_STEP)
    return (seconds * server_cost / SECONDS_PER_HOUR).quantize(COST_STEP, ROUND_HALF_EVEN)


@dataclass(frozen=True, kw_only=True)
class QuoteLine:
    """One line of a quote. ``text`` is for the user; ``amount`` in currency units, negative where
    something is taken off, None where the line only says something."""

    text: str
    amount: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a run will cost before it is submitted. Amounts are in currency units.

    ``lines`` add up to ``to_pay``, what the user is expected to pay; ``free`` says why that is
    nothing, and is empty otherwise. ``refusal`` says why the run would be refused as things stand.
    """

    expected: Decimal
    worst_case: Decimal
    currency: str
    server_cost: Decimal | None
    expected_seconds: Decimal
    worst_seconds: Decimal
    to_pay: Decimal
    lines: tuple[QuoteLine, ...] = ()
    free: str = ""
    refusal: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values; amounts and seconds are decimal text."""
        return {
            "currency": self.currency,
            "expected": str(self.expected),
            "worst_case": str(self.worst_case),
            "to_pay": str(self.to_pay),
            "server_cost_per_hour": None if self.server_cost is None else str(self.server_cost),
            "expected_seconds": str(self.expected_seconds),
            "worst_seconds": str(self.worst_seconds),
            "free": self.free,
            "refusal": self.refusal,
            "lines": [
                {"text": line.text, "amount": None if line.amount is None else str(line.amount)}
                for line in self.lines
            ],
        }


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a finished run cost and where that stands with whoever bills it.

    ``quantity`` is in the meter's units; ``state`` is a word for the user, ``""`` without billing.
    ``invoice`` is the number of the invoice that bills it, once there is one, ``invoice_url`` its
    page; ``line`` says what its line bills: this run together with others.
    """

    seconds: Decimal
    server_cost: Decimal | None
    cost: Decimal
    currency: str
    quantity: int | None = None
    state: str = ""
    reference: str = ""
    invoice: str = ""
    invoice_url: str = ""
    line: str = ""


class BaseMeter:
    """Prices, permits and records runs. Subclass it and name it in ``COMP_CORE["METER"]``."""

    @property
    def currency(self) -> str:
        """ISO 4217 code, lower case, of the site's one currency."""
        return conf.CURRENCY

    def quote(self, run: Run) -> Quote:
        """What a run (possibly unsaved, with its terms set) will cost. No side effects."""
        seconds = Decimal(run.project.exp_task_time)
        expected = self.cost(run, seconds)
        text = _("A usual run") if run.server_cost else _("This project is free.")
        return Quote(
            expected=expected,
            worst_case=self.cost(run, Decimal(run.timeout_seconds)),
            currency=run.currency,
            server_cost=run.server_cost,
            expected_seconds=seconds,
            worst_seconds=Decimal(run.timeout_seconds),
            to_pay=expected,
            lines=(QuoteLine(text=text, amount=expected),),
            free="" if run.server_cost else text,
        )

    def cost(self, run: Run, seconds: Decimal) -> Decimal:
        """Currency units for a run time under the run's frozen terms."""
        return cost_of(seconds=seconds, server_cost=run.server_cost)

    def authorize(self, run: Run) -> None:
        """Called inside the transaction of submit, the run saved. Refuse with RunRefused."""

    def refused(self, run: Run) -> None:
        """Called when a submit that ``authorize`` refused has been rolled back, the run (which has
        its terms) with it: what is written here stays. May join a transaction of the caller's."""

    def record(self, run: Run) -> None:
        """Called inside the transaction that makes a run succeeded; its cost is set."""

    def release(self, run: Run) -> None:
        """Called inside the transaction of every other terminal transition."""

    def receipt(self, run: Run) -> Receipt | None:
        """What a succeeded run cost; None for any other."""
        if run.run_cost is None or run.run_time is None or run.status != "succeeded":
            return None
        return Receipt(
            seconds=run.run_time,
            server_cost=run.server_cost,
            cost=run.run_cost,
            currency=run.currency,
        )


class NullMeter(BaseMeter):
    """A free site: costs are computed and shown, nobody is billed."""


def get_meter() -> BaseMeter:
    """A meter of the class that ``COMP_CORE["METER"]`` names; read live."""
    meter: Any = import_string(conf.METER)
    return meter()  # type: ignore[no-any-return]  # the system check holds the class to BaseMeter
