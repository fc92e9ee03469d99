"""Pages of comp_users."""

from django.urls import URLPattern

app_name = "comp_users"
urlpatterns: list[URLPattern] = []
