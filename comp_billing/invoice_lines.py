"""The lines of an invoice in words: by the names that users know the models by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from comp_billing import shapes
from comp_billing.models import Product
from comp_billing.money import format_amount


def of_invoice(invoice: dict[str, Any]) -> list[dict[str, str]]:
    """Its lines in words, and what credit has paid of them. One query."""
    currency = shapes.text(invoice.get("currency"))
    lines = in_words(shapes.listed(invoice.get("lines")), currency)
    if credit := credit_used(invoice):
        lines.append({"text": _("Paid from credit"), "amount": format_amount(-credit, currency)})
    return lines


def credit_used(invoice: dict[str, Any]) -> int:
    """What credit grants pay of an invoice, in minor units; discounts stand in the same list."""
    used = [shapes.mapping(one) for one in invoice.get("total_pretax_credit_amounts") or []]
    amounts = [one.get("amount") for one in used if one.get("type") != "discount"]
    return sum(shapes.integer(amount) or 0 for amount in amounts)


def in_words(lines: Iterable[dict[str, Any]], currency: str) -> list[dict[str, str]]:
    """[{"text", "amount"}]: the model's name where the product is a project's, else Stripe's
    description. One query."""
    lines = list(lines)
    products = {product for line in lines if (product := shapes.line_product(line))}
    names = dict(
        Product.objects.filter(pk__in=products, project__isnull=False).values_list(
            "pk", "project__name"
        )
    )
    return [
        {
            "text": names.get(shapes.line_product(line) or "")
            or shapes.text(line.get("description")),
            "amount": format_amount(shapes.integer(line.get("amount")), currency),
        }
        for line in lines
    ]
