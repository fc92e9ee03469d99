"""Stripe's error answers, as exceptions that the resources raise."""

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer of the error kind: HTTP status and the content of its `error` object."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.error: Json = {"type": kind, "message": message}
        self.error |= {"code": code} if code else {}
        self.error |= {"param": param} if param else {}
        self.error |= more

    def body(self, request_id: str) -> Json:
        """The JSON body: Stripe adds the address of the request in its log."""
        log = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": {**self.error, "request_log_url": log}}


def missing(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> ApiError:
    """`resource_missing`: 404 for an id in the path, 400 for one named by a parameter."""
    noun = kind.rsplit(".", 1)[-1].replace("_", " ")
    return ApiError(
        f"No such {noun}: '{object_id}'", status=status, code="resource_missing", param=param
    )


def unauthorized(message: str) -> ApiError:
    """401: no key, or one that is not a key."""
    return ApiError(message, status=401)


def card_error(message: str, *, code: str, **more: Any) -> ApiError:
    """402: the bank refused."""
    return ApiError(message, status=402, kind="card_error", code=code, **more)
