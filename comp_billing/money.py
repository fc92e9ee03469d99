"""Minor units and currency units, as Stripe counts them; never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from django.utils.formats import number_format

# https://docs.stripe.com/currencies: amounts are integers of the smallest unit. ISK and UGX have
# no smaller unit either, but Stripe counts them in hundredths for compatibility's sake.
ZERO_DECIMAL = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
THREE_DECIMAL = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
TWO_DECIMAL = frozenset(
    # As Stripe lists them for presentment.
    """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad
    cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl
    htg huf idr ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop
    mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar
    sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah ugx usd uyu uzs wst
    xcd xcg yer zar zmw
    """.split()  # noqa: SIM905
)
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def is_currency(currency: str) -> bool:
    """Whether Stripe charges in this currency (lower-case ISO 4217 code)."""
    return currency in TWO_DECIMAL or currency in ZERO_DECIMAL or currency in THREE_DECIMAL


def exponent(currency: str) -> int:
    """Decimal places of the currency's minor unit, as Stripe counts: 0, 2 or 3."""
    code = currency.lower()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def to_minor(amount: Decimal, currency: str) -> Decimal:
    """Currency units -> minor units, exactly: a fraction of a minor unit stays a fraction."""
    return amount.scaleb(exponent(currency))


def from_minor(minor: int | Decimal, currency: str) -> Decimal:
    """Minor units -> currency units, exactly."""
    return Decimal(minor).scaleb(-exponent(currency))


def format_amount(minor: int | Decimal | None, currency: str) -> str:
    """Text for people: ``$1,234.50``, ``¥500``, ``12.340 KWD``; rounded to the minor unit.

    Empty when the amount is not known.
    """
    if minor is None:
        return ""
    places = exponent(currency)
    units = from_minor(minor, currency).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    number = number_format(abs(units), decimal_pos=places, use_l10n=True, force_grouping=True)
    sign = "-" if units < 0 else ""
    symbol = SYMBOLS.get(currency.lower())
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency.upper()}"
