"""Placeholders from before there was ``fetch_at`` are due to be fetched too."""

from django.db import migrations
from django.db.models.functions import Now

KINDS = (
    "product",
    "meter",
    "plan",
    "customer",
    "charge",
    "subscription",
    "subscriptionitem",
    "invoice",
    "invoicepayment",
)


def fetch_placeholders(apps, schema_editor):
    for kind in KINDS:
        rows = apps.get_model("comp_billing", kind).all_objects
        rows.using(schema_editor.connection.alias).filter(as_of=None).update(fetch_at=Now())


class Migration(migrations.Migration):
    dependencies = [("comp_billing", "0002_fetching_and_syncs")]

    operations = [migrations.RunPython(fetch_placeholders, migrations.RunPython.noop)]
