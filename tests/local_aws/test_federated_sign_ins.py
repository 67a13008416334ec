"""A first sign-in through an identity provider makes a user and fires the triggers, as Cognito does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local_aws.client import LocalAwsError
from tests.local_aws.test_trigger_relay import SignUps

if TYPE_CHECKING:
    from local_aws.client import LocalAws

SUBJECT = "108412345678901234567"
USERNAME = f"Google_{SUBJECT}"


def test_first_federated_sign_in_creates_the_user_and_fires_the_trigger(aws: LocalAws) -> None:
    pool = SignUps(aws)
    sub = aws.sign_in_federated(pool.pool, SUBJECT, {"email": "ann@example.com", "name": "Ann"})
    user = pool.cognito.admin_get_user(UserPoolId=pool.pool, Username=USERNAME)
    assert user["UserStatus"] == "EXTERNAL_PROVIDER"
    attributes = {attribute["Name"]: attribute["Value"] for attribute in user["UserAttributes"]}
    [identity] = json.loads(attributes["identities"])
    assert (identity["providerName"], identity["userId"]) == ("Google", SUBJECT)
    assert {name: attributes[name] for name in ("sub", "email", "email_verified", "name")} == {
        "sub": sub,
        "email": "ann@example.com",
        "email_verified": "false",
        "name": "Ann",
    }
    [event] = pool.events()
    assert event["triggerSource"] == "PostConfirmation_ConfirmSignUp"
    assert (event["userName"], event["callerContext"]["clientId"]) == (USERNAME, pool.client)
    assert event["request"]["userAttributes"] == attributes | {"cognito:user_status": "EXTERNAL_PROVIDER"}


def test_federated_sign_in_reports_the_error_of_a_trigger(aws: LocalAws) -> None:
    pool = SignUps(aws, then="raise ValueError('no luck')")
    with pytest.raises(LocalAwsError, match="PostConfirmation failed with error no luck"):
        aws.sign_in_federated(pool.pool, SUBJECT, {})
    assert pool.status(USERNAME) == "EXTERNAL_PROVIDER"


def test_invalid_federated_sign_in_is_rejected(aws: LocalAws) -> None:
    pool = SignUps(aws)
    aws.sign_in_federated(pool.pool, SUBJECT, {})
    for given, message in (
        (("us-east-1_None", "1", {}), '"us-east-1_None" is not a user pool here'),
        ((pool.pool, "1", {}, "Google", "none"), f'client_id "none" is not an app client of {pool.pool}'),
        ((pool.pool, SUBJECT, {}), f'the user "{USERNAME}" exists'),
    ):
        with pytest.raises(LocalAwsError, match=message):
            aws.sign_in_federated(*given)
