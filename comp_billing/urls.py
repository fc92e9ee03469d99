"""Pages of comp_billing."""

from django.urls import URLPattern

app_name = "comp_billing"
urlpatterns: list[URLPattern] = []
