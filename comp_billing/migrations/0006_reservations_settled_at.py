from django.db import migrations, models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce


def date_what_was_settled(apps, schema_editor):
    """With the end of its run; of a run without one, with the last change."""
    using = schema_editor.connection.alias
    runs = apps.get_model("comp_core", "Run").objects.using(using).filter(pk=OuterRef("run"))
    reservations = apps.get_model("comp_billing", "Reservation").objects.using(using)
    reservations.filter(settled_amount__isnull=False).update(
        settled_at=Coalesce(Subquery(runs.values("finished_at")), F("modified"))
    )


class Migration(migrations.Migration):
    dependencies = [("comp_billing", "0005_corrections_credit_and_caps")]

    operations = [
        migrations.AddField(
            model_name="reservation",
            name="settled_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(date_what_was_settled, migrations.RunPython.noop),
        migrations.RemoveIndex(model_name="reservation", name="comp_billing_reserved"),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(
                fields=["payer"], condition=Q(settled_at__isnull=True), name="comp_billing_reserved"
            ),
        ),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(fields=["payer", "settled_at"], name="comp_billing_spent"),
        ),
        migrations.AddConstraint(
            model_name="reservation",
            constraint=models.CheckConstraint(
                condition=Q(settled_amount__isnull=True, settled_at__isnull=True)
                | Q(settled_amount__isnull=False, settled_at__isnull=False),
                name="comp_billing_reservation_settled",
            ),
        ),
    ]
