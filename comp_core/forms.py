"""From a model's declared parameters to a form, and what is asked beside them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, cast

from django import forms
from django.core import validators
from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.db.models.fields.files import FieldFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from comp_core.conf import conf
from comp_core.models import CoreInputs

# HTML attribute of a number input for each validator of a model field.
BOUNDS: dict[type[validators.BaseValidator], str] = {
    validators.MinValueValidator: "min",
    validators.MaxValueValidator: "max",
    validators.StepValueValidator: "step",
}


class ParametersForm(forms.ModelForm[Any]):
    """Base of every model's form. A value is checked by the form and by the inputs' own fields;
    what only the model can judge is checked later, in a worker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def refuse_large(self, names: Iterable[str]) -> None:
        """Say that the files of these fields were too large; they never got here."""
        for name in names:
            limit = filesizeformat(conf.MAX_UPLOAD_BYTES)
            message = _("The file is larger than %(limit)s, the most that this site takes.")
            self.errors.pop(name, None)
            self.add_error(name, message % {"limit": limit})

    def clean(self) -> dict[str, Any]:
        super().clean()
        self.refuse_large(
            name
            for name, value in self.cleaned_data.copy().items()
            if isinstance(value, UploadedFile) and (value.size or 0) > conf.MAX_UPLOAD_BYTES
        )
        return self.cleaned_data

    def typed(self) -> dict[str, Any]:
        """What was typed, as the widgets read it, without files: fit for the session."""
        return {
            name: field.widget.value_from_datadict(self.data, {}, self.add_prefix(name))
            for name, field in self.fields.items()
            if not isinstance(field, forms.FileField)
        }


class RunForm(forms.Form):
    """What is asked beside the parameters: how the run is called and who sees it.

    ``idempotency_key`` makes a double click one run; ``inputs_source`` names the inputs whose
    values (files too) the form was filled with.
    """

    run_title = forms.CharField(
        label=gettext_lazy("Title of this run"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Optional; helps you to find it again."),
    )
    run_public = forms.BooleanField(
        label=gettext_lazy("Everybody with the link may see this run"), required=False
    )
    idempotency_key = forms.CharField(
        max_length=200, required=False, widget=forms.HiddenInput, initial=uuid.uuid4
    )
    inputs_source = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})

    def wish(self) -> dict[str, Any]:
        """Keyword arguments for ``submit``, in JSON's types."""
        return {
            "title": self.cleaned_data["run_title"],
            "is_public": self.cleaned_data["run_public"],
            "idempotency_key": self.cleaned_data["idempotency_key"] or str(uuid.uuid4()),
        }


def parameters_form(inputs_model: type[CoreInputs]) -> type[ParametersForm]:
    """The form class of a model: one field for each of its editable parameters."""
    names = [field.name for field in inputs_model.parameter_fields() if field.editable]
    made = forms.modelform_factory(
        inputs_model, form=ParametersForm, fields=names, formfield_callback=_form_field
    )
    return cast("type[ParametersForm]", made)


def file_names(inputs_model: type[CoreInputs]) -> set[str]:
    """The parameters that are uploads."""
    fields = inputs_model.parameter_fields()
    return {field.name for field in fields if isinstance(field, models.FileField)}


def _form_field(field: models.Field[Any, Any], **kwargs: Any) -> forms.Field | None:
    """The field's own form field, with the limits that its validators set shown to the browser."""
    if isinstance(field, models.FileField):
        # The default widget links to the stored file; uploads are private.
        kwargs["widget"] = forms.FileInput
    made = field.formfield(**kwargs)
    if made is None or not isinstance(made.widget, forms.NumberInput):
        return made
    for validator in field.validators:
        if isinstance(validator, validators.BaseValidator) and type(validator) in BOUNDS:
            made.widget.attrs[BOUNDS[type(validator)]] = _limit(validator)
    return made


def _limit(validator: validators.BaseValidator) -> Any:
    limit = validator.limit_value
    return limit() if callable(limit) else limit


def same_parameters(one: CoreInputs, other: CoreInputs) -> bool:
    """Whether two inputs ask the same of the model; files are compared by content."""
    return all(
        _same_file(getattr(one, field.attname), getattr(other, field.attname))
        if isinstance(field, models.FileField)
        else field.value_from_object(one) == field.value_from_object(other)
        for field in one.parameter_fields()
    )


def _same_file(one: FieldFile, other: FieldFile) -> bool:
    if not one or not other or one.name == other.name:
        return bool(one) == bool(other)
    try:
        return one.size == other.size and all(
            a == b for a, b in zip(one.chunks(), other.chunks(), strict=True)
        )
    except (FileNotFoundError, ValueError):
        return False
