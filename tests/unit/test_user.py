"""What an answer of Cognito says of a user, and times that compare as strings."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cognito_user_sync import user
from cognito_user_sync.user import UnusableUserError, User, from_cognito, timestamp
from tests.samples import SUB

OBSERVED_AT = "2026-01-02T00:00:00.000Z"

INDIA = timezone(timedelta(hours=5, minutes=30))
GONE: Any = object()

MOMENTS = st.datetimes(
    datetime(1, 1, 3),  # noqa: DTZ001 - hypothesis takes naive bounds
    datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def found(**changes: Any) -> dict[str, Any]:
    """A user as boto3 gives it: the dates are in the time zone of the machine."""
    members = {
        "Username": "ada",
        "Attributes": [
            {"Name": "email", "Value": "ada@example.com"},
            {"Name": "sub", "Value": SUB},
            {"Name": "custom:plan", "Value": "gold"},
        ],
        "UserCreateDate": datetime(2026, 1, 1, 4, 0, 0, 7_999, INDIA),
        "UserLastModifiedDate": datetime(2026, 1, 2, 12, tzinfo=UTC),
        "Enabled": False,
        "UserStatus": "RESET_REQUIRED",
        **changes,
    }
    return {name: value for name, value in members.items() if value is not GONE}


def with_sub(sub: str) -> dict[str, Any]:
    return found(Attributes=[{"Name": "sub", "Value": sub}, {"Name": "email", "Value": "ada@example.com"}])


@pytest.mark.parametrize("member", ["Attributes", "UserAttributes"], ids=["list_users", "admin_get_user"])
def test_from_cognito_reads_a_user_in_full(member: str) -> None:
    answer = found()
    answer[member] = answer.pop("Attributes")
    assert from_cognito(answer, "2026-01-03T00:00:00.000Z") == User(
        sub=SUB,
        observed_at="2026-01-03T00:00:00.000Z",
        username="ada",
        attributes={"email": "ada@example.com", "custom:plan": "gold"},
        status="RESET_REQUIRED",
        enabled=False,
        created_at="2025-12-31T22:30:00.007Z",
        modified_at="2026-01-02T12:00:00.000Z",
    )


def test_from_cognito_reads_a_missing_value_as_empty() -> None:
    attributes = [{"Name": "sub", "Value": SUB}, {"Name": "email"}]
    assert from_cognito(found(Attributes=attributes), OBSERVED_AT).attributes == {"email": ""}


@pytest.mark.parametrize("member", ["Username", "UserStatus", "Enabled", "UserCreateDate", "UserLastModifiedDate"])
def test_from_cognito_rejects_a_user_without_a_member(member: str) -> None:
    with pytest.raises(UnusableUserError) as raised:
        from_cognito(found(**{member: GONE}), OBSERVED_AT)
    assert raised.value.sub == SUB
    assert str(raised.value) == f"user {SUB}: {member} is missing"


@pytest.mark.parametrize("member", ["Username", "UserStatus", "Enabled", "UserCreateDate", "UserLastModifiedDate"])
@pytest.mark.parametrize("value", [None, 7, ["ada"]], ids=repr)
def test_from_cognito_rejects_a_member_of_another_type(member: str, value: Any) -> None:
    with pytest.raises(UnusableUserError, match=f"^user {SUB}: {member} is not a ") as raised:
        from_cognito(found(**{member: value}), OBSERVED_AT)
    assert "ada" not in str(raised.value)


@pytest.mark.parametrize(
    "attribute",
    [{"Value": "ada"}, {"Name": ["ada"]}, {"Name": "email", "Value": 7}, {"Name": "email", "Value": {"S": "ada"}}],
    ids=repr,
)
def test_from_cognito_rejects_an_attribute_that_is_not_text(attribute: dict[str, Any]) -> None:
    with pytest.raises(UnusableUserError) as raised:
        from_cognito(found(Attributes=[{"Name": "sub", "Value": SUB}, attribute]), OBSERVED_AT)
    assert str(raised.value) == f"user {SUB}: the name or value of an attribute is not a string"


@pytest.mark.parametrize(
    "without",
    [found(Attributes=GONE), found(Attributes=[]), found(Attributes=[{"Name": "sub"}]), with_sub("")],
    ids=["no-attributes", "not-among-them", "without-a-value", "empty"],
)
def test_from_cognito_rejects_a_user_without_a_sub(without: dict[str, Any]) -> None:
    with pytest.raises(UnusableUserError) as raised:
        from_cognito(without, OBSERVED_AT)
    assert raised.value.sub == ""


@pytest.mark.parametrize("sub", ["ada@example.com", SUB.upper(), f"{SUB}\n", f"{SUB}0", f"x{SUB}"], ids=range(5))
def test_from_cognito_rejects_an_ill_formed_sub(sub: str) -> None:
    with pytest.raises(UnusableUserError) as raised:
        from_cognito(with_sub(sub), OBSERVED_AT)
    assert raised.value.sub == ""
    assert str(raised.value) == "user without a sub: sub is not a lowercase UUID"


def test_user_has_no_optional_field_except_groups() -> None:
    # No write is without Cognito's date, and no answer of Cognito leaves a field open. Groups are another answer.
    optional = [each.name for each in dataclasses.fields(User) if each.default is not dataclasses.MISSING]
    assert optional == ["groups", "groups_observed_at"]


def test_timestamp_is_utc_with_milliseconds() -> None:
    assert timestamp(datetime(2026, 1, 31, 4, 0, 0, 999_999, INDIA)) == "2026-01-30T22:30:00.999Z"
    assert timestamp(datetime(2026, 1, 31, tzinfo=UTC)) == "2026-01-31T00:00:00.000Z"


@given(MOMENTS, MOMENTS)
def test_timestamp_has_one_width_and_sorts_as_its_moment(first: datetime, second: datetime) -> None:
    texts = timestamp(first), timestamp(second)
    assert {len(text) for text in texts} == {len("2026-01-31T00:00:00.000Z")}

    def milliseconds(moment: datetime) -> timedelta:
        since = moment - datetime(1, 1, 1, tzinfo=UTC)
        return since - since % timedelta(milliseconds=1)

    assert (texts[0] < texts[1]) == (milliseconds(first) < milliseconds(second))
    assert (texts[0] == texts[1]) == (milliseconds(first) == milliseconds(second))


@given(MOMENTS)
def test_timestamp_reads_back_as_its_moment(moment: datetime) -> None:
    read = datetime.fromisoformat(timestamp(moment))
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


def test_now_lies_between_before_and_after() -> None:
    before = timestamp(datetime.now(UTC))
    assert before <= user.now() <= timestamp(datetime.now(UTC))
