"""The error tree of comp_users: each docstring is the message and names the way out."""

from __future__ import annotations


class UsersError(Exception):
    """The request about an account could not be carried out."""

    def __str__(self) -> str:
        return super().__str__() or (self.__doc__ or "").splitlines()[0]


class AccountInUse(UsersError):
    """This account cannot be deleted now: end what is under way, then delete it."""
