"""A site's addresses, and a webhook written by hand for what it costs at the least."""

from __future__ import annotations

from django.urls import path

from benchmarks.raw import by_hand
from tests import urls

urlpatterns = [*urls.urlpatterns, path("by-hand/", by_hand)]
