"""Registers the kind and its handlers."""

from django.apps import AppConfig


class RefundsConfig(AppConfig):
    name = "refunds"

    def ready(self) -> None:
        from comp_billing import mirror
        from refunds import handlers
        from refunds.models import Refund

        self.handlers = handlers
        mirror.register(Refund)
