"""What users set about their money themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from comp_billing import money
from comp_billing.conf import conf
from comp_users.models import Profile


class CapForm(forms.ModelForm[Profile]):
    """The user's own spending cap: in the site's currency, to its smallest coin; empty for none."""

    class Meta:
        model = Profile
        fields = ("spending_cap",)
        labels = {"spending_cap": _("Spending cap per month")}
        help_texts = {"spending_cap": ""}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", "prefix": "cap", **kwargs})
        field: Any = self.fields["spending_cap"]
        stored = Profile._meta.get_field("spending_cap")
        # The column holds two places; a currency may have fewer.
        places = min(money.exponent(conf.CURRENCY), getattr(stored, "decimal_places", 2))
        self.fields["spending_cap"] = forms.DecimalField(
            label=field.label,
            required=False,
            min_value=Decimal(0),
            max_digits=field.max_digits,
            decimal_places=places,
            help_text=_("In %(currency)s; leave it empty for no cap.")
            % {"currency": conf.CURRENCY.upper()},
        )
        if self.instance.spending_cap is not None and not self.is_bound:
            self.initial["spending_cap"] = round(self.instance.spending_cap, places)
