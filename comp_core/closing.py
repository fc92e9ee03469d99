"""An account whose runs are under way is not deleted: nobody would see what they still cost."""

from __future__ import annotations

from django.utils.translation import ngettext

from comp_core.models import Run
from comp_users.exceptions import AccountInUse
from comp_users.models import Profile


def refuse_while_running(profile: Profile) -> None:
    """A step of closing an account. Raises AccountInUse while a run of its own waits or runs."""
    count = Run.objects.filter(owner=profile, finished_at__isnull=True).count()
    if count:
        text = ngettext(
            "%(count)d run is under way: cancel it, or wait until it has ended, and try again.",
            "%(count)d runs are under way: cancel them, or wait until they have ended, and try"
            " again.",
            count,
        )
        raise AccountInUse(text % {"count": count})
