"""The lines of an invoice in words: by the names that users know the models by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from comp_billing import shapes
from comp_billing.models import Product
from comp_billing.money import format_amount


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
