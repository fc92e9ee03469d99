"""Log-in and models, nothing else."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("comp_users.urls")),
    path("models/", include("comp_core.urls")),
]
