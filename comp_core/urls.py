"""Pages of comp_core."""

from django.urls import URLPattern

app_name = "comp_core"
urlpatterns: list[URLPattern] = []
