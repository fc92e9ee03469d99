"""The mirror of Stripe: every writer of proxies ends in ``upsert``, the one guarded upsert."""

from comp_billing.mirror.charges import mend_links
from comp_billing.mirror.kinds import KINDS, register
from comp_billing.mirror.placeholders import ensure, fetch_later
from comp_billing.mirror.rank import Rank
from comp_billing.mirror.write import missing, upsert

__all__ = ["KINDS", "Rank", "ensure", "fetch_later", "mend_links", "missing", "register", "upsert"]
