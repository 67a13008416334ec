"""UpdateUserPool resets and rejects as Cognito does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local_aws.conftest import name

if TYPE_CHECKING:
    from local_aws.client import LocalAws

SETTINGS: dict[str, Any] = {
    "AutoVerifiedAttributes": ["email"],
    "EmailVerificationSubject": "Your code",
    "DeviceConfiguration": {"ChallengeRequiredOnNewDevice": True},
    "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_LINK"},
    "UserPoolTags": {"team": "accounts"},
    "DeletionProtection": "ACTIVE",
}


def test_update_user_pool_resets_omitted_settings(aws: LocalAws) -> None:
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(
        PoolName=name("pool"), Policies={"PasswordPolicy": {"MinimumLength": 20}}, **SETTINGS
    )["UserPool"]["Id"]
    cognito.update_user_pool(
        UserPoolId=pool,
        AutoVerifiedAttributes=["email"],
        LambdaConfig={"PostConfirmation": "arn:aws:lambda:us-east-1:000000000000:function:f"},
    )
    found = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]
    assert found["LambdaConfig"] == {"PostConfirmation": "arn:aws:lambda:us-east-1:000000000000:function:f"}
    assert found["AutoVerifiedAttributes"] == ["email"]
    assert found["Policies"]["PasswordPolicy"]["MinimumLength"] == 8
    assert found.get("EmailVerificationSubject", "") == ""
    assert not {"DeviceConfiguration", "VerificationMessageTemplate"} & set(found)
    assert (found["UserPoolTags"], found["DeletionProtection"]) == ({"team": "accounts"}, "ACTIVE")


def test_update_user_pool_rejects_both_password_validities(aws: LocalAws) -> None:
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=name("pool"))["UserPool"]
    with pytest.raises(cognito.exceptions.InvalidParameterException, match="TemporaryPasswordValidityDays"):
        cognito.update_user_pool(
            UserPoolId=pool["Id"],
            Policies=pool["Policies"],
            AdminCreateUserConfig={"UnusedAccountValidityDays": 7},
        )


def test_update_user_pool_rejects_a_deleted_sms_role(aws: LocalAws) -> None:
    cognito, iam, role = aws.client("cognito-idp"), aws.client("iam"), name("sms")
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    pool = cognito.create_user_pool(PoolName=name("pool"))["UserPool"]["Id"]
    sms: Any = {"SnsCallerArn": arn, "ExternalId": "x"}
    cognito.update_user_pool(UserPoolId=pool, SmsConfiguration=sms)
    iam.delete_role(RoleName=role)
    with pytest.raises(cognito.exceptions.InvalidSmsRoleTrustRelationshipException):
        cognito.update_user_pool(UserPoolId=pool, SmsConfiguration=sms)
    assert cognito.describe_user_pool(UserPoolId=pool)["UserPool"]["SmsConfiguration"] == sms
    cognito.update_user_pool(UserPoolId=pool)
