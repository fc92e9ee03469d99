"""Steering a stand-in that runs in another process."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
TIMEOUT_SECONDS = 60


class ControlRefused(ValueError):
    """The stand-in refused a control call; the message is its reason."""


class StandInControl:
    """The control API of the stand-in at `base_url`, e.g. `http://127.0.0.1:12111`."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")

    def _call(self, verb: str, path: str, body: Json | None = None) -> Json:
        data = json.dumps(body or {}).encode() if verb == "POST" else None
        request = urllib.request.Request(f"{self.base_url}/_standin/{path}", data, method=verb)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as problem:
            with problem:
                raise ControlRefused(json.load(problem)["error"]) from problem

    def now(self) -> datetime:
        """The stand-in's time, aware (UTC)."""
        return datetime.fromtimestamp(self._call("GET", "clock")["now"], UTC)

    def advance(self, *, seconds: int = 0, months: int = 0, to: int | None = None) -> datetime:
        """The clock moved forward; returns when everything that fell due is done."""
        body: Json = {"seconds": seconds, "months": months, "to": to}
        self._call("POST", "clock/advance", body)
        return self.now()

    def ledger(self) -> Json:
        """`events`: every meter event; `totals`: accepted quantity by customer and meter."""
        return self._call("GET", "ledger")

    def calls(self) -> dict[str, int]:
        """How often each call was made, by `VERB /path/{id}`."""
        return dict(self._call("GET", "calls")["calls"])

    def fault(self, kind: str, **options: Any) -> Json:
        """A fault put in force, see `comp_billing.testing.standin.faults.KINDS`."""
        return self._call("POST", "faults", {"kind": kind, **options})

    def clear_faults(self) -> None:
        """No fault any more."""
        self._call("POST", "faults", {"clear": True})

    def deliver(self, *, everything: bool = False) -> Json:
        """Due webhooks sent now: `delivered` and still `pending` counts."""
        return self._call("POST", "deliver", {"all": everything})

    def deliveries(self, **manner: Any) -> Json:
        """How deliveries misbehave: `copies`, `shuffle`, `late_seconds`, `api_version`."""
        return self._call("POST", "deliveries", manner)

    def settings(self, **settings: Any) -> Json:
        """The account's settings, after setting those given."""
        return self._call("POST" if settings else "GET", "settings", settings)

    def add_webhook(
        self,
        url: str,
        *,
        secret: str | None = None,
        thin_url: str | None = None,
        thin_secret: str | None = None,
    ) -> Json:
        """All events sent to an address from now on; `url` and `secret`.

        `thin_url` and `thin_secret` give thin events an address and a secret of their own.
        """
        thin = {"thin_url": thin_url, "thin_secret": thin_secret}
        return self._call("POST", "webhooks", {"url": url, "secret": secret, **thin})

    def reset(self) -> None:
        """An empty account again."""
        self._call("POST", "reset")
