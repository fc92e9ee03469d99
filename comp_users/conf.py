"""Settings of comp_users: the dict ``COMP_USERS``, read live."""

from __future__ import annotations

from comp_users.settings_dict import Setting, SettingsDict


class UsersSettings(SettingsDict):
    """Keys of ``COMP_USERS``."""

    name = "COMP_USERS"

    RUNS_PUBLIC_BY_DEFAULT = Setting(False, "Whether a new profile's runs are public by default.")
    SIGN_UP_OPEN = Setting(True, "Whether visitors may sign up on the site's own page.")
    PERSONAL_FIELDS = Setting[list[str]](
        ["first_name", "last_name"],
        "Fields of the user model that are emptied when an account is deleted, besides user name"
        " and e-mail; those that the model lacks are passed over.",
        types=(list, tuple),
    )
    BASE_TEMPLATE = Setting(
        "comp_users/base.html", "Template that all pages extend; its blocks: title, content."
    )


conf = UsersSettings()
