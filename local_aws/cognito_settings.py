"""Settings of the local Cognito: what AWS does only sometimes, or does not document."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from local_aws.validation import InvalidSettingError, boolean, known_keys, number, shown, whole_number


@dataclass(frozen=True)
class Settings:
    """One consistent set of settings.

    Attributes:
        confirmation_delay_seconds: For so long after ConfirmSignUp, AdminGetUser answers as before it.
        description_delay_seconds: For so long after UpdateUserPool, DescribeUserPool answers as before it.
        self_service_names_pool: Whether CloudTrail's records of calls without a pool ID name the pool.
        estimated_users: What DescribeUserPool says that a pool has; None: the number of its users.
    """

    confirmation_delay_seconds: float = 0.0
    description_delay_seconds: float = 0.0
    self_service_names_pool: bool = True
    estimated_users: int | None = None


class CognitoSettings:
    """The settings in force."""

    def __init__(self) -> None:
        self.current = Settings()

    def replace(self, value: object) -> None:
        """Set the given settings, and reset the others.

        Raises:
            InvalidSettingError: The value is not an object of known settings.
        """
        names = [field.name for field in fields(Settings)]
        if not isinstance(value, dict):
            raise InvalidSettingError(f"settings {shown(value)} is not an object with some of {', '.join(names)}")
        known_keys("settings", value, names)
        checked: dict[str, Any] = dict(value)
        for name in {"confirmation_delay_seconds", "description_delay_seconds"} & value.keys():
            checked[name] = number(name, value[name], 0)
        if "self_service_names_pool" in value:
            name = "self_service_names_pool"
            checked[name] = boolean(name, value[name])
        if "estimated_users" in value:
            name = "estimated_users"
            checked[name] = whole_number(name, value[name])
        self.current = Settings(**checked)

    def clear(self) -> None:
        """Reset all settings."""
        self.current = Settings()

    def as_json(self) -> dict[str, Any]:
        """Return the settings in force."""
        return asdict(self.current)


in_force: Final = CognitoSettings()
