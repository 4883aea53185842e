import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import core.tenancy.foreign_keys
import core.tenancy.identifiers

TERMS = core.tenancy.foreign_keys.SameTenantReference(field="terms", name="coupon_terms", on_delete="RESTRICT")


def refer_to_terms(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add the foreign key without reading the table under its lock: the column is new, and empty."""
    schema_editor.execute(
        "ALTER TABLE coupons_coupon ADD CONSTRAINT coupon_terms FOREIGN KEY (tenant_id, terms_id)"
        " REFERENCES coupons_coupon (tenant_id, id) ON DELETE RESTRICT NOT VALID"
    )
    schema_editor.execute("ALTER TABLE coupons_coupon VALIDATE CONSTRAINT coupon_terms")


def forget_terms(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schema_editor.execute("ALTER TABLE coupons_coupon DROP CONSTRAINT coupon_terms")


class Migration(migrations.Migration):
    atomic = False  # indexes of coupons are built while coupons are written

    dependencies = [("coupons", "0005_listed_coupons"), ("tenancy", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="coupon",
            name="terms",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="codes",
                to="coupons.coupon",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(refer_to_terms, forget_terms)],
            [migrations.AddConstraint(model_name="coupon", constraint=TERMS)],
        ),
        AddIndexConcurrently(
            model_name="coupon",
            index=models.Index(
                condition=models.Q(("terms__isnull", False)),
                fields=["terms", "id"],
                name="coupons_of_campaign",
            ),
        ),
        migrations.CreateModel(
            name="CouponCampaign",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "external_id",
                    models.CharField(
                        default=core.tenancy.identifiers.generate_id, max_length=128, verbose_name="id"
                    ),
                ),
                (
                    "prefix",
                    models.CharField(
                        blank=True,
                        max_length=32,
                        validators=[
                            django.core.validators.RegexValidator("\\A[^\\s/]*\\Z", "No blanks and no slash.")
                        ],
                    ),
                ),
                ("code_count", models.PositiveIntegerField(verbose_name="codes")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("exported_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("deactivated_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "terms",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="campaigns",
                        to="coupons.coupon",
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "external_id"), name="coupon_campaign_id_unique"
                    ),
                    models.UniqueConstraint(fields=("tenant", "terms"), name="coupon_campaign_has_own_terms"),
                    models.CheckConstraint(
                        condition=models.Q(("code_count__range", (1, 100000))),
                        name="coupon_campaign_code_count_bounded",
                    ),
                    core.tenancy.foreign_keys.SameTenantReference(
                        field="terms", name="coupon_campaign_terms", on_delete="RESTRICT"
                    ),
                ],
            },
        ),
    ]
