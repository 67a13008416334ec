"""CognitoPool is as strict as Cognito, and every way to call it returns the same answer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from benchmarks.generated_users import GeneratedUsers
from tests.fakes.answers import Response
from tests.fakes.clock import Clock
from tests.fakes.cognito_pool import (
    DESCRIBE,
    GET,
    GET_MFA,
    LIST,
    SET_MFA,
    UPDATE,
    CognitoPool,
    CognitoUser,
    Quota,
    UsersInMemory,
    UserStore,
)
from tests.fakes.fake_aws import COGNITO_MODEL, FakeAws, QuickAws, cognito_client, served
from tests.fakes.subs import plain_sub
from tests.samples import OTHER_SUB, OURS, POOL_ID, SUB

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

ONCE = Config(retries={"total_max_attempts": 1})
BOTH_STORES = pytest.mark.parametrize("users", [None, GeneratedUsers(10, seed=1)], ids=["in-memory", "generated"])
TYPES: dict[str, Any] = {"string": str, "boolean": bool, "integer": int, "long": int, "timestamp": datetime | float}


def a_pool(users: UserStore | None = None) -> CognitoPool:
    some = UsersInMemory(CognitoUser(SUB, "ada", {"email": "ada@example.com"}), CognitoUser(OTHER_SUB, "bob"))
    sms = {"SnsCallerArn": "arn:aws:iam::111122223333:role/sms", "ExternalId": "x"}
    settings = {"LambdaConfig": {"PostConfirmation": OURS}, "SmsConfiguration": sms}
    return CognitoPool(users or some, settings=settings, mfa={"SoftwareTokenMfaConfiguration": {"Enabled": True}})


def listed(pool: CognitoPool, **arguments: Any) -> list[list[str]]:
    """Return the usernames on each page."""
    pages: list[list[str]] = []
    while True:
        page = cognito_client(pool).list_users(UserPoolId=POOL_ID, **arguments)
        pages.append([user["Username"] for user in page["Users"]])
        if "PaginationToken" not in page:
            return pages
        arguments["PaginationToken"] = page["PaginationToken"]


def misfits(value: Any, shape: Any, path: str = "") -> list[str]:
    """Return the parts of a value that do not match a shape of botocore's model."""
    match shape.type_name:
        case "structure":
            unknown = [f"{path}.{name} is unknown" for name in value.keys() - shape.members.keys()]
            missing = [f"{path}.{name} is missing" for name in set(shape.required_members) - value.keys()]
            known = ((name, member) for name, member in shape.members.items() if name in value)
            inner = [misfits(value[name], member, f"{path}.{name}") for name, member in known]
            return [*unknown, *missing, *(each for found in inner for each in found)]
        case "list":
            return [each for item in value for each in misfits(item, shape.member, f"{path}[]")]
        case kind:
            return [] if isinstance(value, TYPES[kind]) else [f"{path} is not a {kind}"]


@BOTH_STORES
@pytest.mark.parametrize("operation", [LIST, GET, DESCRIBE, GET_MFA, UPDATE, SET_MFA])
def test_cognito_pool_answers_in_botocores_shapes(operation: str, users: UserStore | None) -> None:
    pool = a_pool(users)
    pool.page_sizes = (2,)
    username = pool.users.listed(next(pool.users.positions("", "")))["Username"]
    answer = pool.answer(operation, {"UserPoolId": POOL_ID, **({"Username": username} if operation == GET else {})})
    assert isinstance(answer, Response)
    assert answer.status == 200
    assert misfits(answer.body, COGNITO_MODEL.operation_model(operation).output_shape) == []


@pytest.mark.parametrize("second", ["", 'sub ^= "b4"', f'sub = "{SUB}"'], ids=["none", "prefix", "sub"])
def test_cognito_pool_rejects_token_of_another_filter(second: str) -> None:
    pool = a_pool()
    client = cognito_client(pool)
    token = client.list_users(UserPoolId=POOL_ID, Limit=1, Filter='sub ^= "b"')["PaginationToken"]
    arguments: Any = {"Filter": second} if second else {}
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.list_users(UserPoolId=POOL_ID, PaginationToken=token, **arguments)
    assert len(client.list_users(UserPoolId=POOL_ID, Filter='sub ^= "b"', PaginationToken=token)["Users"]) == 1


@pytest.mark.parametrize("query", ['nickname = "Ada"', "sub", 'sub ^= "b" or sub ^= "c"', f'sub = "{SUB.upper()}"'])
def test_cognito_pool_rejects_unknown_filter(query: str) -> None:
    client = cognito_client(a_pool())
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.list_users(UserPoolId=POOL_ID, Filter=query)


@BOTH_STORES
def test_cognito_pool_gives_short_and_empty_pages(users: UserStore | None) -> None:
    pool = a_pool(users)
    pool.page_sizes = (0, 1, 60)
    pool.ends_with_an_empty_page = True
    pages = listed(pool)
    count = len(pool.users)
    assert [len(page) for page in pages] == [0, 1, count - 1, 0]
    assert len({username for page in pages for username in page}) == count


def test_cognito_pool_lists_rest_when_user_is_removed() -> None:
    users = UsersInMemory(*(CognitoUser(plain_sub(random.Random(number))) for number in range(5)))
    pool = CognitoPool(users)
    [everyone] = listed(pool)
    pool.calls.after(LIST, pool.calls.count(LIST) + 1, lambda: users.remove(everyone[0].removeprefix("name-of-")))
    assert listed(pool, Limit=1) == [[username] for username in everyone]


def test_cognito_pool_throttles_calls_over_quota() -> None:
    clock = Clock()
    pool = a_pool()
    pool.quota = Quota(2, clock)
    client = cognito_client(pool)
    for _ in range(2):
        client.list_users(UserPoolId=POOL_ID)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        client.list_users(UserPoolId=POOL_ID)
    client.describe_user_pool(UserPoolId=POOL_ID)
    clock.sleep(0.5)
    client.list_users(UserPoolId=POOL_ID)
    assert pool.throttled == 1


@contextmanager
def client_of(by: str, pool: CognitoPool, session: boto3.Session) -> Iterator[CognitoIdentityProviderClient]:
    if by == "client":
        yield cognito_client(pool)
    elif by == "http":
        with served(pool) as url:
            yield session.client("cognito-idp", endpoint_url=url, config=ONCE)
    else:
        fake = (FakeAws if by == "before-send" else QuickAws)(session)
        fake.serve(pool)
        with fake.answering():
            yield session.client("cognito-idp", config=ONCE)


@pytest.mark.parametrize("by", ["client", "before-call", "before-send", "http"])
def test_fake_client_returns_answer_and_raises_error(by: str, session: boto3.Session) -> None:
    pool = a_pool()
    with client_of(by, pool, session) as client:
        found: Any = client.list_users(UserPoolId=POOL_ID, Filter=f'sub = "{SUB}"', Limit=1)
        found.pop("ResponseMetadata", None)
        assert found == {"Users": [CognitoUser(SUB, "ada", {"email": "ada@example.com"}).listed()]}
        with pytest.raises(client.exceptions.UserNotFoundException) as raised:
            client.admin_get_user(UserPoolId=POOL_ID, Username="unknown")
        assert isinstance(raised.value, ClientError)
        assert raised.value.response["Error"] == {"Code": "UserNotFoundException", "Message": "User does not exist."}
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        pool.calls.lose_next(DESCRIBE, ConnectionClosedError(endpoint_url="https://cognito"))
        with pytest.raises(ConnectionClosedError):
            client.describe_user_pool(UserPoolId=POOL_ID)
        assert client.describe_user_pool(UserPoolId=POOL_ID)["UserPool"]["Id"] == POOL_ID
    assert pool.calls.operations == [LIST, GET, DESCRIBE, DESCRIBE]
