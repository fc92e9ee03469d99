"""What the page frame needs: the header's links, notices, and one way of showing a form."""

from __future__ import annotations

from typing import Any

from django import template
from django.forms import BaseForm

from comp_users.navigation import ShownLink, links_for
from comp_users.notices import Notice, notices_for

register = template.Library()


@register.simple_tag(takes_context=True)
def navigation(context: dict[str, Any]) -> list[ShownLink]:
    """The header's links for the request in the context; none without one."""
    request = context.get("request")
    return links_for(request) if request is not None and hasattr(request, "user") else []


@register.simple_tag(takes_context=True)
def notices(context: dict[str, Any]) -> list[Notice]:
    """What every page has to tell the request's user; nothing without a request."""
    request = context.get("request")
    return notices_for(request) if request is not None and hasattr(request, "user") else []


@register.inclusion_tag("comp_users/error_summary.html")
def error_summary(*forms: BaseForm) -> dict[str, Any]:
    """All errors of some forms in one list at the top, each linked to its field."""
    return {"forms": [form for form in forms if form and form.is_bound and form.errors]}


@register.inclusion_tag("comp_users/fields.html")
def fields(form: BaseForm) -> dict[str, Any]:
    """The form's fields with label, help and errors, tied together for screen readers."""
    return {"form": form}


@register.filter
def is_checkbox(field: Any) -> bool:
    return getattr(field.field.widget, "input_type", "") == "checkbox"
