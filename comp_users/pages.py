"""How every page of the library is rendered: within the frame that the host has chosen."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from comp_users.conf import conf


def frame() -> dict[str, Any]:
    """The context that every page needs besides its own."""
    return {"base_template": conf.BASE_TEMPLATE, "sign_up_open": conf.SIGN_UP_OPEN}


def render_page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """A page in the host's frame (``COMP_USERS["BASE_TEMPLATE"]``)."""
    return render(request, template, {**frame(), **context}, status=status)
