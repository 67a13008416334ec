"""What a trigger event becomes, and what is refused, by name of the field and without its value."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cognito_user_sync.sync_request import REASONS, InvalidSyncRequest, SyncRequest, from_trigger_event, parse
from cognito_user_sync.user import User, timestamp
from tests.samples import SUB

OCCURRED_AT = "2026-01-01T00:00:00.000Z"
ATTRIBUTES = ("name", "email", "custom:plan")
GONE: Any = object()


def an_event(**changes: Any) -> dict[str, Any]:
    event = {
        "userName": "ada.l",
        "callerContext": {"clientId": "app1"},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {
            "userAttributes": {"sub": SUB, "name": "Ada", "email": "ada@example.com", "birthdate": "1815-12-10"}
        },
        **changes,
    }
    return {name: value for name, value in event.items() if value is not GONE}


def an_input(**changes: Any) -> dict[str, Any]:
    fields = {
        "sub": SUB,
        "reason": "sign_up",
        "occurred_at": OCCURRED_AT,
        "username": "ada.l",
        "client_id": "app1",
        "attributes": {"name": "Ada"},
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not GONE}


def with_attributes(**attributes: Any) -> dict[str, Any]:
    return an_event(request={"userAttributes": {"sub": SUB, **attributes}})


def test_a_sign_up_becomes_a_request_whose_execution_can_start_once() -> None:
    request = from_trigger_event(an_event(), ATTRIBUTES, OCCURRED_AT)
    assert request == SyncRequest(
        sub=SUB,
        reason="sign_up",
        occurred_at=OCCURRED_AT,
        username="ada.l",
        client_id="app1",
        attributes={"name": "Ada", "email": "ada@example.com"},
    )
    assert request.execution_name() == f"sign-up-{SUB}"


def test_a_password_reset_becomes_a_request_that_can_come_again() -> None:
    event = an_event(triggerSource="PostConfirmation_ConfirmForgotPassword")
    request = from_trigger_event(event, ATTRIBUTES, OCCURRED_AT)
    assert request.reason == "password_reset"
    assert request.execution_name() != request.execution_name()


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_an_execution_name_is_one_that_step_functions_takes_and_has_the_sub(reason: str) -> None:
    # At most 80 characters: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    name = SyncRequest(SUB, reason, OCCURRED_AT).execution_name()
    assert re.fullmatch(r"[a-z0-9-]{1,80}", name)
    assert name.startswith(f"{reason.replace('_', '-')}-{SUB}")


def test_only_configured_attributes_leave_the_trigger() -> None:
    assert from_trigger_event(an_event(), ("email",), OCCURRED_AT).attributes == {"email": "ada@example.com"}
    assert from_trigger_event(an_event(), (), OCCURRED_AT).attributes == {}


@pytest.mark.parametrize("value", [None, 7, True, ["Ada"], {"first": "Ada"}], ids=repr)
def test_an_attribute_that_is_no_string_is_left_out(value: Any) -> None:
    request = from_trigger_event(with_attributes(name=value, email="ada@example.com"), ATTRIBUTES, OCCURRED_AT)
    assert request.attributes == {"email": "ada@example.com"}


@pytest.mark.parametrize("caller", [GONE, None, [], {}, {"clientId": None}, {"clientId": 7}], ids=range(6))
def test_a_caller_without_an_app_client_is_no_obstacle(caller: Any) -> None:
    assert from_trigger_event(an_event(callerContext=caller), ATTRIBUTES, OCCURRED_AT).client_id == ""


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (None, "triggerSource"),
        ([], "triggerSource"),
        ("event", "triggerSource"),
        ({}, "triggerSource"),
        (an_event(triggerSource=7), "triggerSource"),
        (an_event(triggerSource="PreSignUp_SignUp"), "triggerSource"),
        (an_event(triggerSource="PostConfirmation_ConfirmSignUp2"), "triggerSource"),
        (an_event(request=GONE), "request"),
        (an_event(request=[]), "request"),
        (an_event(request={}), "userAttributes"),
        (an_event(request={"userAttributes": "ada@example.com"}), "userAttributes"),
        (an_event(request={"userAttributes": {}}), "sub"),
        (with_attributes(sub=7), "sub"),
        (with_attributes(sub=""), "sub"),
        (with_attributes(sub="ada@example.com"), "sub"),
        (with_attributes(sub=SUB.upper()), "sub"),
        (with_attributes(sub=SUB + "\n"), "sub"),
        (with_attributes(sub=SUB + "0"), "sub"),
        (with_attributes(sub="٠" * 8 + SUB[8:]), "sub"),
        (an_event(userName=GONE), "userName"),
        (an_event(userName=["ada"]), "userName"),
    ],
    ids=range(21),
)
def test_what_is_no_post_confirmation_event_is_refused_by_field_without_personal_data(event: Any, field: str) -> None:
    with pytest.raises(InvalidSyncRequest, match=rf"\b{field}\b") as raised:
        from_trigger_event(event, ATTRIBUTES, OCCURRED_AT)
    assert "ada" not in str(raised.value).lower()


@pytest.mark.parametrize(
    ("execution_input", "field"),
    [
        (None, "sub"),
        ([], "sub"),
        ("{}", "sub"),
        ({}, "sub"),
        (an_input(sub="ada@example.com"), "sub"),
        (an_input(sub=SUB.upper()), "sub"),
        (an_input(reason=GONE), "reason"),
        (an_input(reason=7), "reason"),
        (an_input(reason="SIGN_UP"), "reason"),
        (an_input(occurred_at=GONE), "occurred_at"),
        (an_input(occurred_at=1767225600), "occurred_at"),
        # These do not compare as strings with what is in the table.
        (an_input(occurred_at="2026-01-01T00:00:00"), "occurred_at"),
        (an_input(occurred_at="2026-01-01T00:00:00.0Z"), "occurred_at"),
        (an_input(occurred_at="2026-01-01T00:00:00.000+00:00"), "occurred_at"),
        (an_input(occurred_at="2026-01-01T00:00:00.000000Z"), "occurred_at"),
        (an_input(occurred_at="٢٠٢٦-01-01T00:00:00.000Z"), "occurred_at"),
        (an_input(occurred_at=OCCURRED_AT + "\n"), "occurred_at"),
        (an_input(username=7), "username"),
        (an_input(client_id=["app1"]), "client_id"),
        (an_input(event_name=7), "event_name"),
        (an_input(attributes=None), "attributes"),
        (an_input(attributes=["ada@example.com"]), "attributes"),
        (an_input(attributes={"email": 7}), "attributes"),
        (an_input(attributes={"email": None}), "attributes"),
    ],
    ids=range(24),
)
def test_what_is_no_request_is_refused_by_field_without_personal_data(execution_input: Any, field: str) -> None:
    with pytest.raises(InvalidSyncRequest, match=rf"\b{field}\b") as raised:
        parse(execution_input)
    assert "ada" not in str(raised.value).lower()


def test_a_refused_value_is_not_repeated() -> None:
    with pytest.raises(InvalidSyncRequest, match="^triggerSource is none of ") as of_event:
        from_trigger_event(an_event(triggerSource="ada@example.com"), ATTRIBUTES, OCCURRED_AT)
    with pytest.raises(InvalidSyncRequest, match="^reason is none of ") as of_request:
        parse({"sub": SUB, "reason": "ada@example.com", "occurred_at": OCCURRED_AT})
    assert "ada" not in f"{of_event.value} {of_request.value}"


def test_optional_fields_have_empty_defaults() -> None:
    request = parse({"sub": SUB, "reason": "password_reset", "occurred_at": OCCURRED_AT})
    assert request == SyncRequest(sub=SUB, reason="password_reset", occurred_at=OCCURRED_AT)
    assert (request.username, request.client_id, request.event_name, request.attributes) == ("", "", "", {})


def test_a_change_is_known_by_its_name_alone_and_can_come_again() -> None:
    request = parse({"sub": SUB, "reason": "changed", "occurred_at": OCCURRED_AT, "event_name": "AdminDisableUser"})
    assert request == SyncRequest(
        sub=SUB, reason="changed", occurred_at=OCCURRED_AT, event_name="AdminDisableUser", username="", attributes={}
    )
    assert request.execution_name() != request.execution_name()


def test_a_time_of_whole_seconds_gets_milliseconds() -> None:
    # As CloudTrail gives it. Times are compared as strings, and "Z" sorts after ".".
    assert parse(an_input(occurred_at="2026-01-31T12:00:05Z")).occurred_at == "2026-01-31T12:00:05.000Z"
    assert parse(an_input(occurred_at="2026-01-31T12:00:05.678Z")).occurred_at == "2026-01-31T12:00:05.678Z"


def test_the_json_is_the_documented_shape_without_what_has_no_value() -> None:
    assert json.loads(parse(an_input()).to_json()) == an_input()
    bare = {"sub": SUB, "reason": "sign_up", "occurred_at": OCCURRED_AT}
    assert json.loads(parse({**bare, "username": "", "attributes": {}}).to_json()) == bare


def test_an_attribute_that_the_user_has_but_empty_stays_in_the_json() -> None:
    request = parse(an_input(attributes={"name": ""}))
    assert json.loads(request.to_json())["attributes"] == {"name": ""}


_REQUESTS = st.builds(
    SyncRequest,
    sub=st.uuids().map(str),
    reason=st.sampled_from(["sign_up", "password_reset", "changed"]),
    occurred_at=st.datetimes(timezones=st.just(UTC)).map(timestamp),
    username=st.text(),
    client_id=st.text(),
    event_name=st.text(),
    attributes=st.dictionaries(st.text(), st.text()),
)


@given(_REQUESTS)
def test_a_request_survives_json(request: SyncRequest) -> None:
    assert parse(json.loads(request.to_json())) == request


@given(sub=st.uuids(), username=st.text(), values=st.dictionaries(st.sampled_from(ATTRIBUTES), st.text()))
def test_a_parked_event_says_the_same_when_it_is_replayed(
    sub: uuid.UUID, username: str, values: dict[str, str]
) -> None:
    event = an_event(userName=username, request={"userAttributes": {**values, "sub": str(sub), "other": "x"}})
    request = from_trigger_event(event, ATTRIBUTES, OCCURRED_AT)
    assert parse(json.loads(request.to_json())) == request
    assert request.attributes == values


_ODD: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["triggerSource", "request", "userAttributes", "userName", "sub", "reason", "occurred_at", "attributes"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(_ODD)
def test_anything_else_is_refused_and_breaks_nothing(odd: Any) -> None:
    for read in (parse, lambda event: from_trigger_event(event, ATTRIBUTES, OCCURRED_AT)):
        with pytest.raises(InvalidSyncRequest):
            read(odd)


def test_the_user_of_a_request_is_confirmed_and_undated() -> None:
    assert parse(an_input()).confirmed_user() == User(
        sub=SUB,
        observed_at=OCCURRED_AT,
        username="ada.l",
        attributes={"name": "Ada"},
        status="CONFIRMED",
        enabled=None,
        created_at=None,
        modified_at=None,
    )
