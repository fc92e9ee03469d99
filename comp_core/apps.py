"""App configuration: checks, a project row for every model, the core's maintenance loops."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate


def _models_of(apps: Any) -> set[tuple[str, str]]:
    return {(model._meta.app_label, model._meta.model_name) for model in apps.get_models()}


class CompCoreConfig(AppConfig):
    name = "comp_core"
    verbose_name = "COMP runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from comp_core import checks as core_checks
        from comp_core.closing import refuse_while_running
        from comp_core.projects import ensure_projects
        from comp_users.closing import register_step

        def on_migrated(using: str, apps: Any = None, **kwargs: Any) -> None:
            # After a migration backwards there may be no table to fill. A flush sends no state.
            if apps is None or ("comp_users", "project") in _models_of(apps):
                ensure_projects(using=using)

        checks.register(core_checks.check_settings)
        checks.register(core_checks.check_duplicates)
        checks.register(core_checks.check_shared_inputs)
        checks.register(core_checks.check_databases)
        post_migrate.connect(
            on_migrated, sender=self, weak=False, dispatch_uid="comp_core.projects_for_models"
        )
        register_step("comp_core.runs", refuse_while_running)
        self._register_loops()
        self._register_probes()
        self._register_links()

    def _register_loops(self) -> None:
        from comp_core.conf import conf
        from comp_core.lifecycle import abort_overdue, admit_held, reap
        from comp_core.maintenance import register_loop
        from comp_core.outputs.sweeping import sweep
        from comp_core.retention import apply_retention
        from comp_core.tickets import mend_tickets, prune_tickets

        def often() -> float:
            return conf.MAINTENANCE_SECONDS

        register_loop("comp_core.reap", reap, seconds=often)
        register_loop("comp_core.abort", abort_overdue, seconds=often)
        register_loop("comp_core.admit", admit_held, seconds=often)
        register_loop("comp_core.tickets", mend_tickets, seconds=often)
        register_loop("comp_core.prune_tickets", prune_tickets, seconds=3600)
        register_loop("comp_core.sweep", sweep, seconds=60)
        register_loop("comp_core.retention", apply_retention, seconds=86_400)

    def _register_probes(self) -> None:
        from comp_core.doctor import register_probe
        from comp_core.probes import runs, surroundings, workers

        register_probe("comp_core.settings", surroundings.settings)
        register_probe("comp_core.clock", surroundings.clock)
        register_probe("comp_core.storage", surroundings.storage)
        register_probe("comp_core.scratch", surroundings.scratch)
        register_probe("comp_core.workers", workers.workers)
        register_probe("comp_core.loops", workers.loops)
        register_probe("comp_core.waiting", runs.waiting)
        register_probe("comp_core.running", runs.running)
        register_probe("comp_core.leftovers", runs.leftovers)
        register_probe("comp_core.models", surroundings.models, deep=True)

    def _register_links(self) -> None:
        from django.utils.translation import gettext_lazy as _

        from comp_users.navigation import Link, logged_in, register

        register(Link(label=_("Models"), url_name="comp_core:models", order=10))
        register(Link(label=_("My runs"), url_name="comp_core:runs", shown=logged_in, order=20))
