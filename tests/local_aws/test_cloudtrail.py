"""CloudTrail's records of changed users reach a rule on the default bus."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.local_aws.conftest import name, next_event, receives_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.client import LocalAws

PASSWORD = "Passw0rd!"


class Pool:
    def __init__(self, aws: LocalAws, naming_no_pool: bool = False) -> None:
        self.aws, self.cognito = aws, aws.client("cognito-idp")
        self.id = self.cognito.create_user_pool(PoolName=name("pool"))["UserPool"]["Id"]
        self.client = self.cognito.create_user_pool_client(
            UserPoolId=self.id,
            ClientName="app",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
        )["UserPoolClient"]["ClientId"]
        created = self.cognito.admin_create_user(
            UserPoolId=self.id, Username="ann", UserAttributes=[{"Name": "email", "Value": "ann@example.com"}]
        )
        self.sub = next(item["Value"] for item in created["User"]["Attributes"] if item["Name"] == "sub")
        self.cognito.admin_set_user_password(UserPoolId=self.id, Username="ann", Password=PASSWORD, Permanent=True)
        pattern: dict[str, Any] = {"source": ["aws.cognito-idp"], "detail-type": ["AWS API Call via CloudTrail"]}
        if naming_no_pool:
            pattern["detail"] = {"additionalEventData": {"sub": [self.sub]}}
        else:
            pattern["$or"] = [
                {"detail": {"requestParameters": {"userPoolId": [self.id]}}},
                {"detail": {"additionalEventData": {"userPoolId": [self.id]}}},
            ]
        self.queue = receives_events(aws, pattern)

    def token(self) -> str:
        token: str = self.cognito.initiate_auth(
            ClientId=self.client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "ann", "PASSWORD": PASSWORD},
        )["AuthenticationResult"]["AccessToken"]
        return token

    def record(self) -> dict[str, Any]:
        event = next_event(self.aws, self.queue)
        assert (event["source"], event["detail-type"]) == ("aws.cognito-idp", "AWS API Call via CloudTrail")
        detail: dict[str, Any] = event["detail"]
        return detail


def test_record_has_the_sub_and_no_other_attribute(aws: LocalAws) -> None:
    pool = Pool(aws)
    pool.cognito.admin_update_user_attributes(
        UserPoolId=pool.id, Username="ann", UserAttributes=[{"Name": "name", "Value": "Ann Example"}]
    )
    record = pool.record()
    assert "Ann Example" not in json.dumps(record)
    assert record["eventName"] == "AdminUpdateUserAttributes"
    assert record["eventSource"] == "cognito-idp.amazonaws.com"
    assert record["additionalEventData"] == {"sub": pool.sub}
    assert record["requestParameters"] == {
        "userPoolId": pool.id,
        "username": "HIDDEN_DUE_TO_SECURITY_REASONS",
        "userAttributes": "HIDDEN_DUE_TO_SECURITY_REASONS",
    }
    assert record["responseElements"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["eventTime"])
    assert (record["awsRegion"], record["recipientAccountId"]) == ("us-east-1", "000000000000")
    assert record["eventType"] == "AwsApiCall"
    assert "errorCode" not in record


@pytest.mark.parametrize(
    "method", ("admin_disable_user", "admin_enable_user", "admin_delete_user", "admin_reset_user_password")
)
def test_record_of_an_administrators_call(aws: LocalAws, method: str) -> None:
    pool = Pool(aws)
    getattr(pool.cognito, method)(UserPoolId=pool.id, Username="ann")
    record = pool.record()
    assert record["eventName"].lower() == method.replace("_", "")
    assert record["additionalEventData"] == {"sub": pool.sub}


def test_record_of_a_change_of_groups(aws: LocalAws) -> None:
    """That of a deleted group names no user."""
    pool = Pool(aws)
    group = {"UserPoolId": pool.id, "GroupName": "staff"}
    for method, additional in (
        ("create_group", {}),
        ("admin_add_user_to_group", {"sub": pool.sub}),
        ("admin_remove_user_from_group", {"sub": pool.sub}),
        ("delete_group", {}),
    ):
        getattr(pool.cognito, method)(**group, **({"Username": "ann"} if additional else {}))
        record = pool.record()
        assert record["eventName"].lower() == method.replace("_", "")
        assert record["additionalEventData"] == additional
        assert record["requestParameters"]["userPoolId"] == pool.id
        assert record["requestParameters"]["groupName"] == "staff"


def test_record_of_a_users_call_has_the_pool(aws: LocalAws) -> None:
    pool = Pool(aws)
    token, cognito = pool.token(), pool.cognito
    attributes = [{"Name": "name", "Value": "Ann"}]
    calls: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("UpdateUserAttributes", lambda: cognito.update_user_attributes(AccessToken=token, UserAttributes=attributes)),
        ("DeleteUser", lambda: cognito.delete_user(AccessToken=token)),
    )
    for event_name, call in calls:
        call()
        record = pool.record()
        assert record["eventName"] == event_name
        assert record["additionalEventData"] == {"sub": pool.sub, "userPoolId": pool.id}
        assert record["userIdentity"] == {"type": "Unknown", "principalId": "Anonymous"}
        assert token not in json.dumps(record)


def test_record_of_an_invited_users_first_sign_in(aws: LocalAws) -> None:
    pool = Pool(aws)
    temporary = "T3mporary!"
    pool.cognito.admin_set_user_password(UserPoolId=pool.id, Username="ann", Password=temporary, Permanent=False)
    assert pool.record()["eventName"] == "AdminSetUserPassword"
    challenge = pool.cognito.initiate_auth(
        ClientId=pool.client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": temporary},
    )
    pool.cognito.respond_to_auth_challenge(
        ClientId=pool.client,
        ChallengeName=challenge["ChallengeName"],
        Session=challenge["Session"],
        ChallengeResponses={"USERNAME": "ann", "NEW_PASSWORD": PASSWORD},
    )
    record = pool.record()
    assert record["eventName"] == "RespondToAuthChallenge"
    assert record["requestParameters"]["challengeName"] == "NEW_PASSWORD_REQUIRED"
    assert record["additionalEventData"] == {"sub": pool.sub, "userPoolId": pool.id}


def test_record_of_a_failed_call_has_the_error(aws: LocalAws) -> None:
    pool = Pool(aws)
    with pytest.raises(pool.cognito.exceptions.UserNotFoundException):
        pool.cognito.admin_delete_user(UserPoolId=pool.id, Username="missing")
    record = pool.record()
    assert (record["eventName"], record["errorCode"]) == ("AdminDeleteUser", "UserNotFoundException")
    assert record["additionalEventData"] == {}


def test_record_of_a_sign_up_has_the_sub(aws: LocalAws) -> None:
    pool = Pool(aws)
    sub = pool.cognito.sign_up(ClientId=pool.client, Username="bob", Password=PASSWORD)["UserSub"]
    record = pool.record()
    assert (record["eventName"], record["additionalEventData"]) == (
        "SignUp",
        {"sub": sub, "userPoolId": pool.id},
    )


def test_record_is_not_written_for_reads(aws: LocalAws) -> None:
    pool = Pool(aws)
    pool.cognito.admin_get_user(UserPoolId=pool.id, Username="ann")
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username="ann")
    assert pool.record()["eventName"] == "AdminDisableUser"


def test_admin_delete_user_attributes_deletes_attributes(aws: LocalAws) -> None:
    pool = Pool(aws)
    pool.cognito.admin_delete_user_attributes(UserPoolId=pool.id, Username="ann", UserAttributeNames=["email"])
    found = pool.cognito.admin_get_user(UserPoolId=pool.id, Username="ann")["UserAttributes"]
    assert "email" not in {attribute["Name"] for attribute in found}
