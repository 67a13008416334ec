from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from local_aws.quotas import Quotas
from tests.local_aws.conftest import ONCE, name

if TYPE_CHECKING:
    from local_aws.client import LocalAws


def test_quota_has_a_burst_of_one_second() -> None:
    now = 100.0
    quotas = Quotas(clock=lambda: now)
    quotas.replace({"cognito-idp:ListUsers": {"per_second": 3}})
    assert [quotas.take("cognito-idp:ListUsers")[0] for _ in range(4)] == [True, True, True, False]
    now += 0.5
    assert [quotas.take("cognito-idp:ListUsers")[0] for _ in range(2)] == [True, False]
    now += 60
    assert [quotas.take("cognito-idp:ListUsers")[0] for _ in range(4)] == [True, True, True, False]
    assert quotas.take("cognito-idp:AdminGetUser") == (True, 0.0)


def test_list_users_is_throttled_beyond_its_quota(aws: LocalAws) -> None:
    cognito = aws.client("cognito-idp", config=ONCE)
    pool = cognito.create_user_pool(PoolName=name("pool"))["UserPool"]["Id"]
    aws.set_quotas({"cognito-idp:ListUsers": {"per_second": 0.01, "latency_ms": 200}})
    began = time.monotonic()
    cognito.list_users(UserPoolId=pool)
    assert time.monotonic() - began >= 0.2
    with pytest.raises(cognito.exceptions.TooManyRequestsException):
        cognito.list_users(UserPoolId=pool)
    aws.clear_quotas()
    cognito.list_users(UserPoolId=pool)
    assert aws.calls()["cognito-idp:ListUsers"] == 3
