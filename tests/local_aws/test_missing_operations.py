"""Operations of Cognito that the emulator alone does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.local_aws.conftest import name

if TYPE_CHECKING:
    from local_aws.client import LocalAws


def test_get_csv_header_has_each_attribute_of_the_schema(aws: LocalAws) -> None:
    cognito = aws.client("cognito-idp")
    schema = [{"Name": "plan", "AttributeDataType": "String", "Mutable": True}]
    pool = cognito.create_user_pool(PoolName=name("pool"), Schema=schema)["UserPool"]["Id"]
    header = cognito.get_csv_header(UserPoolId=pool)["CSVHeader"]
    assert {"email", "email_verified", "custom:plan", "cognito:username", "cognito:mfa_enabled"} <= set(header)
    assert "sub" not in header
    with pytest.raises(cognito.exceptions.ResourceNotFoundException):
        cognito.get_csv_header(UserPoolId="us-east-1_AbCdEfGhI")
