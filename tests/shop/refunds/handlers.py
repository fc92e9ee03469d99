"""What follows from the news about refunds."""

from __future__ import annotations

from typing import Any

from comp_billing.handlers import on
from comp_billing.models import Event
from refunds.models import Note, Refund


@on("refund.created", model=Refund)
def write_down(event: Event, obj: Refund | None, previous: dict[str, Any]) -> None:
    """Exactly once, with the event."""
    Note.objects.create(refund=obj, text=f"{event.object_data['amount']} given back")
