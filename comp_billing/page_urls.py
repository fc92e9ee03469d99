"""Addresses of the pages for people; mounted by ``comp_billing.urls``."""

from django.urls import path

from comp_billing import pages

urlpatterns = [
    path("costs/", pages.costs, name="costs"),
    path("invoices/", pages.invoices, name="invoices"),
    path("invoices/upcoming/", pages.upcoming, name="upcoming"),
    path("card/", pages.card, name="card"),
    path("card/portal/", pages.portal, name="portal"),
]
