"""A site's addresses, and a webhook written by hand for what it costs at the least."""

from __future__ import annotations

from django.urls import include, path

from benchmarks.raw import by_hand

urlpatterns = [path("", include("tests.urls")), path("by-hand/", by_hand)]
