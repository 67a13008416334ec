"""Whether the table says of a user what Cognito says."""

from __future__ import annotations

from typing import Any

import pytest

from cognito_user_sync_cli.users import Comparison
from tests.samples import SUB

CONFIRMED = {"username": "ada", "status": "CONFIRMED", "email": "ada@example.com", "cognito_modified_at": "2026"}
OF_TABLE = {"observed_at": "2026", "synced_at": "2026", "shard": "b"}
SYNCED = {**CONFIRMED, **OF_TABLE}
UNDATED = {name: value for name, value in SYNCED.items() if name != "cognito_modified_at"}
GONE = {**SYNCED, "deleted_at": "2026"}
UNCONFIRMED = {**CONFIRMED, "status": "UNCONFIRMED"}


@pytest.mark.parametrize(
    ("cognito", "item", "is_kept", "is_in_step"),
    [
        (CONFIRMED, SYNCED, False, True),
        (CONFIRMED, UNDATED, False, True),
        (CONFIRMED, {**SYNCED, "cognito_modified_at": "2025"}, False, False),
        (CONFIRMED, {**SYNCED, "email": ""}, False, False),
        ({**CONFIRMED, "email": ""}, SYNCED, False, False),
        (CONFIRMED, None, False, False),
        (CONFIRMED, GONE, False, False),
        (UNCONFIRMED, None, False, True),
        (UNCONFIRMED, SYNCED, False, False),
        (None, None, False, True),
        (None, SYNCED, False, False),
        (None, SYNCED, True, True),
        (None, GONE, False, True),
        (None, {"deleted_at": "2026", "expires_at": 1}, False, True),
    ],
)
def test_a_user_is_in_step_exactly_where_nothing_is_left_to_do(
    cognito: dict[str, Any] | None, item: dict[str, Any] | None, is_kept: bool, is_in_step: bool
) -> None:
    assert Comparison(SUB, cognito, item, is_kept).is_in_step is is_in_step


def test_only_what_cognito_says_and_the_item_says_otherwise_differs() -> None:
    item = {**UNDATED, "email": "", "status": "RESET_REQUIRED"}
    assert Comparison(SUB, CONFIRMED, item, False).differing == ["status", "email"]
