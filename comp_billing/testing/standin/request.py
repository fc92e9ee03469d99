"""A request as the resources see it, and how it is read from the wire."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from comp_billing.testing.standin.errors import ApiError

Json = dict[str, Any]


@dataclass
class Request:
    """One call: its method, path, decoded parameters and the headers that matter."""

    verb: str
    path: str
    params: Json
    headers: dict[str, str]
    fingerprint: str
    id: str
    args: tuple[str, ...] = field(default=())

    @property
    def v2(self) -> bool:
        """Whether it speaks to the v2 API (JSON instead of forms)."""
        return self.path.startswith("/v2/")

    @property
    def idempotency_key(self) -> str | None:
        """The key of a POST; other methods have none."""
        return self.headers.get("idempotency-key") if self.verb == "POST" else None

    @property
    def api_key(self) -> str:
        """The bearer token, or an empty string."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


def _nest(pairs: list[tuple[str, str]]) -> Json:
    """Brackets unfolded: `items[0][price]=p` becomes `{"items": {"0": {"price": "p"}}}`."""
    result: Json = {}
    for key, value in pairs:
        first, *rest = key.replace("]", "").split("[")
        *outer, last = [first, *rest]
        here = result
        for name in outer:
            here = here.setdefault(name, {})
            if not isinstance(here, dict):
                raise ApiError(f"Invalid object: {key}", param=first)
        # `expand[]=` counts up
        here[last or str(len(here))] = value
    return result


def _json(body: bytes) -> Json:
    try:
        content = json.loads(body or b"{}")
    except ValueError as problem:
        raise ApiError("Invalid JSON in the request body.") from problem
    if not isinstance(content, dict):
        raise ApiError("The request body must be a JSON object.")
    return content


def read(verb: str, url: str, headers: dict[str, str], body: bytes, request_id: str) -> Request:
    """The request of these bytes; header names are given in lower case."""
    parts = urlsplit(url)
    in_body = verb == "POST" and parts.path.startswith("/v2/")
    if in_body:
        params = _json(body)
    else:
        text = body.decode("utf-8", "replace") if verb == "POST" else parts.query
        params = _nest(parse_qsl(text, keep_blank_values=True))
    fingerprint = f"{verb} {parts.path} {body.decode('utf-8', 'replace')}"
    return Request(verb, parts.path, params, headers, fingerprint, request_id)
