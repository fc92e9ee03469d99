"""The stand-in in process: a transport for the Stripe SDK that needs no port and no thread."""

from collections.abc import Mapping
from typing import Any

import stripe

from comp_billing.testing.standin.faults import Dropped
from comp_billing.testing.standin.world import StandIn


class Headers(dict[str, str]):
    """Response headers that are found whatever their case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The header's value, or the default."""
        return super().get(name.lower(), default)


class StandInClient(stripe.HTTPClient):
    """`stripe.StripeClient(key, http_client=StandInClient(standin))`."""

    name = "standin"

    def __init__(self, standin: StandIn) -> None:
        super().__init__()
        self.standin = standin

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """One call answered by the stand-in; raises `APIConnectionError` where a fault cuts it."""
        body = post_data.encode() if isinstance(post_data, str) else post_data or b""
        try:
            reply = self.standin.handle(method.upper(), url, dict(headers or {}), body)
        except Dropped as problem:
            text = "The stand-in cut the connection."
            raise stripe.APIConnectionError(text, should_retry=True) from problem  # type: ignore[no-untyped-call]  # untyped in the SDK
        return reply.body, reply.status, Headers(reply.headers)

    def close(self) -> None:
        """Nothing to close: the stand-in belongs to its maker."""
