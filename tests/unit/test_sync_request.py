"""What trigger events, execution inputs and messages become, and what is rejected: by field, without its value."""

from __future__ import annotations

import json
import re
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.sync_request import REASONS, Change, SyncRequest, from_trigger_event, parse, parse_change
from cognito_user_sync.user import timestamp
from tests.samples import SUB

OCCURRED_AT = "2026-01-01T00:00:00.000Z"
GONE: Any = object()


def without_gone(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not GONE}


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
    return without_gone(event)


def an_input(**changes: Any) -> dict[str, Any]:
    fields = {
        "sub": SUB,
        "username": "ada.l",
        "reason": "sign_up",
        "occurred_at": OCCURRED_AT,
        "client_id": "app1",
        **changes,
    }
    return without_gone(fields)


def a_change(**changes: Any) -> dict[str, Any]:
    """A message of the change queue, as the rule's input transformer makes it of CloudTrail's event."""
    return without_gone(
        {"sub": SUB, "event_name": "AdminDisableUser", "occurred_at": "2026-01-31T12:00:05Z", **changes}
    )


def with_attributes(**attributes: Any) -> dict[str, Any]:
    return an_event(request={"userAttributes": {"sub": SUB, **attributes}})


def test_execution_name_of_a_sign_up_is_fixed() -> None:
    request = from_trigger_event(an_event(), OCCURRED_AT)
    assert request == SyncRequest(
        sub=SUB, username="ada.l", reason="sign_up", occurred_at=OCCURRED_AT, client_id="app1"
    )
    assert request.execution_name() == f"sign-up-{SUB}"


def test_execution_name_of_a_password_reset_is_unique() -> None:
    event = an_event(triggerSource="PostConfirmation_ConfirmForgotPassword")
    request = from_trigger_event(event, OCCURRED_AT)
    assert request.reason == "password_reset"
    assert request.execution_name() != request.execution_name()


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_execution_name_is_valid_and_contains_the_sub(reason: str) -> None:
    # At most 80 characters: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    name = SyncRequest(SUB, "ada.l", reason, OCCURRED_AT).execution_name()
    assert re.fullmatch(r"[a-z0-9-]{1,80}", name)
    assert name.startswith(f"{reason.replace('_', '-')}-{SUB}")


@given(
    values=st.dictionaries(
        st.sampled_from(["name", "email", "email_verified", "phone_number", "custom:plan", "cognito:user_status"]),
        st.text(),
    )
)
def test_from_trigger_event_drops_attributes(values: dict[str, str]) -> None:
    """Executions, their history and their status-change events hold what the request holds."""
    event = an_event(request={"userAttributes": {**values, "sub": SUB}})
    assert json.loads(from_trigger_event(event, OCCURRED_AT).to_json()) == an_input()


@pytest.mark.parametrize("caller", [GONE, None, [], {}, {"clientId": None}, {"clientId": 7}], ids=range(6))
def test_from_trigger_event_accepts_a_missing_app_client(caller: Any) -> None:
    assert from_trigger_event(an_event(callerContext=caller), OCCURRED_AT).client_id == ""


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
        (an_event(userName=""), "username"),
    ],
    ids=range(22),
)
def test_from_trigger_event_rejects_invalid_events(event: Any, field: str) -> None:
    with pytest.raises(InvalidEventError, match=rf"\b{field}\b") as raised:
        from_trigger_event(event, OCCURRED_AT)
    assert "ada" not in str(raised.value).lower()


@pytest.mark.parametrize(
    ("execution_input", "field"),
    [
        (None, "reason"),
        ([], "reason"),
        ("{}", "reason"),
        ({}, "reason"),
        (an_input(sub=GONE), "sub"),
        (an_input(sub="ada@example.com"), "sub"),
        (an_input(sub=SUB.upper()), "sub"),
        (an_input(reason=GONE), "reason"),
        (an_input(reason=7), "reason"),
        (an_input(reason="SIGN_UP"), "reason"),
        # Of a release that synced changes by executions, too.
        (an_input(reason="changed"), "reason"),
        (an_input(occurred_at=None), "occurred_at"),
        (an_input(occurred_at=1767225600), "occurred_at"),
        # These do not compare as strings with what is in the table.
        (an_input(occurred_at="2026-01-01T00:00:00"), "occurred_at"),
        (an_input(occurred_at="2026-01-01T00:00:00.0Z"), "occurred_at"),
        (an_input(occurred_at="2026-01-01T00:00:00.000+00:00"), "occurred_at"),
        (an_input(occurred_at="2026-01-01T00:00:00.000000Z"), "occurred_at"),
        (an_input(occurred_at="٢٠٢٦-01-01T00:00:00.000Z"), "occurred_at"),
        (an_input(occurred_at=OCCURRED_AT + "\n"), "occurred_at"),
        (an_input(username=GONE), "username"),
        (an_input(username=7), "username"),
        (an_input(username=""), "username"),
        (an_input(client_id=["app1"]), "client_id"),
    ],
    ids=range(23),
)
def test_parse_rejects_invalid_requests(execution_input: Any, field: str) -> None:
    with pytest.raises(InvalidEventError, match=rf"\b{field}\b") as raised:
        parse(execution_input)
    assert "ada" not in str(raised.value).lower()


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (None, "sub"),
        ([], "sub"),
        ({}, "sub"),
        (a_change(sub="ada@example.com"), "sub"),
        (a_change(sub=SUB.upper()), "sub"),
        (a_change(event_name=7), "event_name"),
        (a_change(event_name=None), "event_name"),
        (a_change(occurred_at=GONE), "occurred_at"),
        (a_change(occurred_at=None), "occurred_at"),
        (a_change(occurred_at="2026-01-31"), "occurred_at"),
    ],
    ids=range(10),
)
def test_parse_change_rejects_invalid_changes(message: Any, field: str) -> None:
    with pytest.raises(InvalidEventError, match=rf"\b{field}\b") as raised:
        parse_change(message)
    assert "ada" not in str(raised.value).lower()


def test_errors_do_not_repeat_values() -> None:
    with pytest.raises(InvalidEventError, match="^triggerSource is not one of ") as of_event:
        from_trigger_event(an_event(triggerSource="ada@example.com"), OCCURRED_AT)
    with pytest.raises(InvalidEventError, match="^reason is not one of ") as of_request:
        parse(an_input(reason="ada@example.com"))
    assert "ada" not in f"{of_event.value} {of_request.value}"


def test_optional_fields_have_empty_defaults() -> None:
    request = parse({"sub": SUB, "username": "ada.l", "reason": "password_reset"})
    assert request == SyncRequest(sub=SUB, username="ada.l", reason="password_reset", occurred_at="", client_id="")


def test_parse_accepts_the_output_of_sync_user() -> None:
    """SendWelcome parses it, with the outcome and without a time."""
    given = {"sub": SUB, "username": "ada.l", "reason": "sign_up", "client_id": "app1", "outcome": "created"}
    assert parse(given) == SyncRequest(SUB, "ada.l", "sign_up", client_id="app1")


def test_attributes_of_an_earlier_release_are_left_out() -> None:
    assert parse(an_input(attributes={"email": "ada@example.com"}, event_name="")) == parse(an_input())


def test_parse_change_returns_the_change() -> None:
    assert parse_change(a_change()) == Change(SUB, "AdminDisableUser", "2026-01-31T12:00:05.000Z")
    assert parse_change(a_change(event_name=GONE)).event_name == ""


@pytest.mark.parametrize(("read", "given"), [(parse, an_input), (parse_change, a_change)], ids=["request", "change"])
def test_parse_change_adds_milliseconds(read: Any, given: Any) -> None:
    # As CloudTrail gives it. Times are compared as strings, and "Z" sorts after ".".
    assert read(given(occurred_at="2026-01-31T12:00:05Z")).occurred_at == "2026-01-31T12:00:05.000Z"
    assert read(given(occurred_at="2026-01-31T12:00:05.678Z")).occurred_at == "2026-01-31T12:00:05.678Z"


def test_to_json_leaves_out_empty_fields() -> None:
    assert json.loads(parse(an_input()).to_json()) == an_input()
    bare = {"sub": SUB, "username": "ada.l", "reason": "sign_up"}
    assert json.loads(parse({**bare, "client_id": ""}).to_json()) == bare


_REQUESTS = st.builds(
    SyncRequest,
    sub=st.uuids().map(str),
    username=st.text(min_size=1),
    reason=st.sampled_from(sorted(REASONS)),
    occurred_at=st.datetimes(timezones=st.just(UTC)).map(timestamp),
    client_id=st.text(),
)


@given(_REQUESTS)
def test_parse_returns_the_request_of_to_json(request: SyncRequest) -> None:
    assert parse(json.loads(request.to_json())) == request


@given(request=_REQUESTS, other=st.dictionaries(st.text(), st.text()))
def test_parse_returns_the_queued_request(request: SyncRequest, other: dict[str, str]) -> None:
    event = an_event(userName=request.username, request={"userAttributes": {**other, "sub": request.sub}})
    queued = from_trigger_event(event, request.occurred_at)
    assert parse(json.loads(queued.to_json())) == queued
    assert (queued.sub, queued.username, queued.occurred_at) == (request.sub, request.username, request.occurred_at)


_ODD: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["triggerSource", "request", "userAttributes", "userName", "sub", "reason", "occurred_at", "event_name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(_ODD)
def test_parsers_raise_only_invalid_event_error(odd: Any) -> None:
    for read in (parse, parse_change, lambda event: from_trigger_event(event, OCCURRED_AT)):
        with pytest.raises(InvalidEventError):
            read(odd)
