"""The mirror of Stripe: every writer of proxies ends in ``upsert``, the one guarded upsert."""

from comp_billing.mirror.charges import mend_links
from comp_billing.mirror.kinds import KINDS, register
from comp_billing.mirror.sql import Rank
from comp_billing.mirror.write import ensure, upsert

__all__ = ["KINDS", "Rank", "ensure", "mend_links", "register", "upsert"]
