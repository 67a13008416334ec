"""Settings of the local Cognito: what AWS does only sometimes, or does not document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Settings:
    """One consistent set of settings.

    Attributes:
        confirmation_delay_seconds: How long AdminGetUser shows a user as before ConfirmSignUp.
        description_delay_seconds: How long DescribeUserPool shows a pool as before UpdateUserPool.
        self_service_names_pool: Whether CloudTrail's records of calls without a pool ID name the pool.
        estimated_users: DescribeUserPool's EstimatedNumberOfUsers; None: the number of users.
    """

    confirmation_delay_seconds: float = 0.0
    description_delay_seconds: float = 0.0
    self_service_names_pool: bool = True
    estimated_users: int | None = None


class CognitoSettings:
    """The settings in force."""

    def __init__(self) -> None:
        self.current = Settings()

    def replace(self, value: Any) -> None:
        """Set the given settings, and reset the others."""
        self.current = Settings(**value)

    def clear(self) -> None:
        self.current = Settings()

    def as_json(self) -> dict[str, Any]:
        return asdict(self.current)


in_force: Final = CognitoSettings()
