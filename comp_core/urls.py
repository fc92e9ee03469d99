"""Pages of comp_core."""

from django.urls import path

from comp_core.views import catalogue, inputs, outputs, quotes, runs

app_name = "comp_core"
urlpatterns = [
    path("", catalogue.models, name="models"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<uuid:pk>/", runs.run, name="run"),
    path("runs/<uuid:pk>/status/", runs.run_status, name="run_status"),
    path("runs/<uuid:pk>/cancel/", runs.cancel, name="cancel"),
    path("runs/<uuid:pk>/outputs.zip", outputs.archive, name="archive"),
    path("runs/<uuid:pk>/outputs/<str:output_id>/", outputs.output, name="output"),
    path("<slug:slug>/", catalogue.ModelView.as_view(), name="model"),
    path("<slug:slug>/quote/", quotes.quote, name="quote"),
    path("<slug:slug>/inputs/<uuid:pk>/", inputs.inputs, name="inputs"),
]
