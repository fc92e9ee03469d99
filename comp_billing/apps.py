"""App configuration of comp_billing."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_migrate, post_save, pre_migrate


class CompBillingConfig(AppConfig):
    name = "comp_billing"
    verbose_name = "COMP billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from comp_billing.checks import check_settings
        from comp_billing.handlers.checks import check_handlers, check_operators
        from comp_billing.kind_checks import check_kinds
        from comp_billing.mirror import known

        checks.register(check_settings)
        checks.register(check_kinds, checks.Tags.models)
        checks.register(check_handlers)
        checks.register(check_operators, deploy=True)
        # After a flush too, where no row is what it was.
        post_migrate.connect(known.forget, dispatch_uid="comp_billing.known_ids")
        self._connect_facts()
        self._load_handlers()
        self._register_loops()
        self._register_catalogue()
        self._register_reading()
        self._register_probes()
        self._register_links()

    def _connect_facts(self) -> None:
        """Sign-ups and published projects become intents in their own transactions; the web's
        requests are marked, so that none of them calls Stripe."""
        from comp_billing import catalog, closing, customers, guards, intents
        from comp_users.closing import register_step
        from comp_users.models import Project
        from comp_users.signals import profile_created

        uid = "comp_billing.{}".format
        profile_created.connect(customers.on_profile_created, dispatch_uid=uid("customer"))
        post_save.connect(catalog.on_project_saved, sender=Project, dispatch_uid=uid("catalog"))
        register_step("comp_billing.customers", closing.on_account_closing)
        pre_migrate.connect(intents.forget_table, dispatch_uid=uid("intents"))
        request_started.connect(guards.enter_request, dispatch_uid=uid("enter_request"))
        request_finished.connect(guards.leave_request, dispatch_uid=uid("leave_request"))

    def _load_handlers(self) -> None:
        """Modules that register something themselves: handlers of events, and kinds of intents."""
        from comp_billing import notifications, operators, rejections
        from comp_billing.handlers import charges, links
        from comp_billing.limits import credit
        from comp_billing.paying import cards, portal
        from comp_billing.usage import corrections

        self.handler_modules = (
            *(cards, charges, corrections, credit, links, notifications, operators, rejections),
        )
        self.intent_modules = (portal,)

    def _register_loops(self) -> None:
        """What the workers do of their own accord."""
        from comp_billing import closing, customers, intents, subscriptions, usage
        from comp_billing.limits import cap_warnings, credit
        from comp_billing.usage import alarms, doubt
        from comp_core.maintenance import register_loop

        register_loop("comp_billing.customers", customers.ensure_customers, seconds=30)
        register_loop("comp_billing.items", subscriptions.ensure_items, seconds=10)
        register_loop("comp_billing.closing", closing.end_closed, seconds=60)
        register_loop("comp_billing.intents", intents.carry_out_due, seconds=2, everywhere=True)
        register_loop("comp_billing.usage", usage.report_due, seconds=2, everywhere=True)
        register_loop("comp_billing.doubt", doubt.settle_doubts, seconds=300)
        register_loop("comp_billing.alarms", alarms.tell_of_unbilled, seconds=3600)
        register_loop("comp_billing.cap_warnings", cap_warnings.send_due, seconds=30)
        register_loop("comp_billing.credit", credit.refresh_due, seconds=60)

    def _register_catalogue(self) -> None:
        """What the workers do for what is sold, at what price, and for how long."""
        from comp_billing import catalog, repricing, retirement
        from comp_core.maintenance import register_loop

        register_loop("comp_billing.catalog", catalog.plan_all, seconds=30)
        register_loop("comp_billing.repricing", repricing.move_items, seconds=30)
        register_loop("comp_billing.former_prices", repricing.archive_former, seconds=300)
        register_loop("comp_billing.retirement", retirement.retire, seconds=60)

    def _register_reading(self) -> None:
        """What the workers do with what Stripe tells, or failed to."""
        from comp_billing import event_retention, events, mirror
        from comp_billing.sync import fetching, gaps, requests
        from comp_core.maintenance import register_loop

        register_loop("comp_billing.events", events.process_due_events, seconds=2, everywhere=True)
        register_loop("comp_billing.fetching", fetching.fetch_due, seconds=5)
        register_loop("comp_billing.lists", requests.read_requested, seconds=5)
        register_loop("comp_billing.gaps", gaps.repair_undelivered, seconds=gaps.pause)
        register_loop("comp_billing.retention", event_retention.remove_old_events, seconds=86_400)
        register_loop("comp_billing.charges", mirror.mend_links, seconds=60)

    def _register_probes(self) -> None:
        from comp_billing.probes import events, keys, mirror, outbox, paying, stripe
        from comp_core.doctor import register_probe

        register_probe("comp_billing.keys", keys.keys)
        register_probe("comp_billing.stripe", stripe.stripe)
        register_probe("comp_billing.events", events.events)
        register_probe("comp_billing.mirror", mirror.mirror)
        register_probe("comp_billing.syncs", mirror.syncs)
        register_probe("comp_billing.intents", outbox.intents)
        register_probe("comp_billing.usage", outbox.usage)
        register_probe("comp_billing.subscriptions", outbox.subscriptions)
        register_probe("comp_billing.portal", paying.portal)

    def _register_links(self) -> None:
        from django.utils.translation import gettext_lazy as _

        from comp_billing.paying import banners
        from comp_users import notices
        from comp_users.navigation import Link, logged_in, register

        covers = ("comp_billing:invoices", "comp_billing:card")
        url_name = "comp_billing:costs"
        notices.register("comp_billing.payment_due", banners.payment_due)
        register(
            Link(label=_("Costs"), url_name=url_name, covers=covers, shown=logged_in, order=30)
        )
