"""What AWS does only sometimes, or does not document, is set for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.local_aws.conftest import name
from tests.local_aws.test_cloudtrail import Pool
from tests.local_aws.test_trigger_relay import SignUps
from tests.samples import OURS

if TYPE_CHECKING:
    from local_aws.client import LocalAws


def test_admin_get_user_shows_a_confirmation_after_the_delay(aws: LocalAws) -> None:
    pool = SignUps(aws)
    user = pool.sign_up()
    before = pool.cognito.admin_get_user(UserPoolId=pool.pool, Username=user)
    aws.set_cognito({"confirmation_delay_seconds": 60})
    pool.confirm(user)
    during = pool.cognito.admin_get_user(UserPoolId=pool.pool, Username=user)
    for answer in (before, during):
        del answer["ResponseMetadata"]
    assert {name: during[name] for name in before if name in during} | {"UserStatus": "UNCONFIRMED"} == during
    assert (during["UserAttributes"], during["UserLastModifiedDate"]) == (
        before["UserAttributes"],
        before["UserLastModifiedDate"],
    )
    listed = pool.cognito.list_users(UserPoolId=pool.pool)["Users"]
    assert [each["UserStatus"] for each in listed] == ["CONFIRMED"], "of AdminGetUser alone"
    aws.set_cognito({"confirmation_delay_seconds": 0.001})
    assert pool.status(user) == "CONFIRMED"


def test_estimated_users_are_what_describe_user_pool_says(aws: LocalAws) -> None:
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]

    def estimate() -> int:
        return int(cognito.describe_user_pool(UserPoolId=pool)["UserPool"]["EstimatedNumberOfUsers"])

    aws.set_cognito({"estimated_users": 2_500})
    assert estimate() == 2_500
    aws.clear_cognito()
    assert estimate() == 0


def test_describe_user_pool_shows_an_update_after_the_delay(aws: LocalAws) -> None:
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=name("pool"))["UserPool"]["Id"]

    def triggers() -> Any:
        return cognito.describe_user_pool(UserPoolId=pool)["UserPool"]["LambdaConfig"]

    aws.set_cognito({"description_delay_seconds": 60})
    cognito.update_user_pool(UserPoolId=pool, LambdaConfig={"PostConfirmation": OURS})
    assert triggers() == {}
    aws.set_cognito({"description_delay_seconds": 0.001})
    assert triggers() == {"PostConfirmation": OURS}


def test_record_of_self_service_call_names_no_pool_if_so_set(aws: LocalAws) -> None:
    pool = Pool(aws, naming_no_pool=True)
    token = pool.token()
    aws.set_cognito({"self_service_names_pool": False})
    pool.cognito.update_user_attributes(AccessToken=token, UserAttributes=[{"Name": "name", "Value": "Ann"}])
    record = pool.record()
    assert record["additionalEventData"] == {"sub": pool.sub}
    assert record["requestParameters"].keys() == {"accessToken", "userAttributes"}
