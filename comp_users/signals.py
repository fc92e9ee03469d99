"""The one fact that comp_users announces."""

from django.dispatch import Signal

# Sent once per profile, inside the transaction that creates it. Keyword argument: profile.
profile_created = Signal()
