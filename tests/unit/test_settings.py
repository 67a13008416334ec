"""A function that Terraform did not set up fully says so at its first call, and names what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cognito_user_sync import settings
from cognito_user_sync.settings import MissingSetting

Read = Callable[[Mapping[str, str]], Any]

READERS: dict[str, tuple[Read, dict[str, str]]] = {
    "post_confirmation": (
        settings.post_confirmation,
        {
            "USER_SYNC_STATE_MACHINE_ARN": "arn:state-machine",
            "UNSTARTED_QUEUE_URL": "https://queue",
            "ATTRIBUTES": '["name","custom:é"]',
        },
    ),
    "replay_sign_ups": (settings.replay_sign_ups, {"USER_SYNC_STATE_MACHINE_ARN": "arn:state-machine"}),
    "sync_user": (
        settings.sync_user,
        {"USER_TABLE_NAME": "users", "ATTRIBUTES": '["name"]', "INDEX_KEYS": '["email"]'},
    ),
    "send_welcome": (settings.send_welcome, {"ATTRIBUTES": '["name"]'}),
}
REQUIRED = [(function, name) for function, (_, environ) in READERS.items() for name in environ]
LISTS = [(function, name) for function, name in REQUIRED if name in {"ATTRIBUTES", "INDEX_KEYS"}]


def test_the_environment_is_read_into_each_functions_settings() -> None:
    assert {function: read(environ) for function, (read, environ) in READERS.items()} == {
        "post_confirmation": settings.PostConfirmationSettings(
            state_machine_arn="arn:state-machine",
            unstarted_queue_url="https://queue",
            attributes=("name", "custom:é"),
            chained_function_arn=None,
        ),
        "replay_sign_ups": settings.ReplaySignUpsSettings(state_machine_arn="arn:state-machine"),
        "sync_user": settings.SyncUserSettings(
            table_name="users", attributes=("name",), index_keys=frozenset({"email"})
        ),
        "send_welcome": settings.SendWelcomeSettings(attributes=("name",)),
    }


@pytest.mark.parametrize(("value", "read"), [("arn:theirs", "arn:theirs"), ("", None)], ids=["set", "empty"])
def test_the_chained_function_is_optional(value: str, read: str | None) -> None:
    reader, environ = READERS["post_confirmation"]
    assert reader({**environ, "CHAINED_FUNCTION_ARN": value}).chained_function_arn == read


@pytest.mark.parametrize(("function", "name"), REQUIRED)
def test_a_missing_variable_is_named(function: str, name: str) -> None:
    read, environ = READERS[function]
    for incomplete in ({**environ, name: ""}, {other: value for other, value in environ.items() if other != name}):
        with pytest.raises(MissingSetting, match=rf"\b{name} is not set"):
            read(incomplete)


@pytest.mark.parametrize("value", ["name,email", "name", "[name]", '"name"', "{}", "7", "null", '["name", 7]', "[[]]"])
@pytest.mark.parametrize(("function", "name"), LISTS)
def test_a_list_that_is_none_is_named(function: str, name: str, value: str) -> None:
    read, environ = READERS[function]
    with pytest.raises(MissingSetting, match=rf"\b{name} is not (a )?JSON"):
        read({**environ, name: value})


@pytest.mark.parametrize(("function", "name"), LISTS)
def test_an_empty_list_is_a_list(function: str, name: str) -> None:
    read, environ = READERS[function]
    assert read({**environ, name: "[]"}) is not None
