"""The one fact that comp_core announces."""

from django.dispatch import Signal

# Sent after the commit of every terminal transition. Keyword argument: run. Receivers' errors
# are logged and change nothing; money never travels by this way (see comp_core.metering).
run_finished = Signal()
