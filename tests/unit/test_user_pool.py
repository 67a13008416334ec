"""What Cognito says of users, and what its silence means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from cognito_user_sync import user_pool
from cognito_user_sync.user import UnusableUserError, User, timestamp
from cognito_user_sync.user_pool import (
    CognitoRejectedError,
    CognitoUnavailableError,
    PagingTokenRejectedError,
    PrefixRejectedError,
    UserPool,
)
from tests.fakes.answers import Response, error_response
from tests.fakes.cognito_pool import LIST as LIST_USERS
from tests.fakes.cognito_pool import LONG_AGO, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OTHER_SUB, POOL_ID, SUB

LIST = f"{COGNITO}.ListUsers"
GET = f"{COGNITO}.AdminGetUser"
DESCRIBE = f"{COGNITO}.DescribeUserPool"
UNUSABLE = frozenset({"UserStatus"})
WITHOUT_SUB = frozenset({"sub"})


def at(hour: int) -> str:
    return f"2026-01-01T{hour:02}:00:00.000Z"


def a_user(sub: str = SUB, **changes: Any) -> CognitoUser:
    return CognitoUser(sub, **{"username": "ada", "attributes": {"email": "ada@example.com"}, **changes})


@pytest.fixture
def users() -> UsersInMemory:
    """The users of the pool."""
    return UsersInMemory()


@pytest.fixture
def cognito(users: UsersInMemory) -> CognitoPool:
    return CognitoPool(users)


@pytest.fixture
def pool(aws: FakeAws, cognito: CognitoPool, monkeypatch: pytest.MonkeyPatch) -> UserPool:
    """A pool at whose clock it is as many o'clock as calls have been made."""
    aws.serve(cognito)
    monkeypatch.setattr(user_pool, "now", lambda: at(len(aws.calls)))
    client = aws.session.client("cognito-idp", config=Config(retries={"total_max_attempts": 1}))
    return UserPool(client, POOL_ID)


def test_page_is_observed_before_the_call(pool: UserPool, users: UsersInMemory) -> None:
    # What changes during the call must count as newer.
    users.add(a_user(modified_at=LONG_AGO + timedelta(hours=1)))
    assert pool.page().users == (
        User(
            sub=SUB,
            observed_at=at(0),
            username="ada",
            attributes={"email": "ada@example.com"},
            status="CONFIRMED",
            enabled=True,
            created_at=timestamp(LONG_AGO),
            modified_at=timestamp(LONG_AGO + timedelta(hours=1)),
        ),
    )


def test_page_lists_the_whole_pool_without_a_filter(aws: FakeAws, pool: UserPool) -> None:
    pool.page()
    assert [call.body for call in aws.calls] == [{"UserPoolId": POOL_ID, "Limit": 60}]


def test_page_passes_prefix_token_and_size(aws: FakeAws, pool: UserPool) -> None:
    aws.on(LIST, Response({"Users": []}))
    pool.page("b4", "where-we-were", 7)
    assert [call.body for call in aws.calls] == [
        {"UserPoolId": POOL_ID, "Limit": 7, "Filter": 'sub ^= "b4"', "PaginationToken": "where-we-were"}
    ]


@pytest.mark.parametrize(
    ("page_sizes", "lengths"),
    [((0, 60), [0, 2, 0]), ((1, 60), [1, 1, 0]), ((2, 60), [2, 0])],
    ids=["empty", "short", "full"],
)
def test_only_a_missing_token_ends_the_list(
    cognito: CognitoPool, pool: UserPool, users: UsersInMemory, page_sizes: tuple[int, ...], lengths: list[int]
) -> None:
    users.add(a_user(), a_user(OTHER_SUB))
    cognito.page_sizes = page_sizes
    cognito.ends_with_an_empty_page = True
    pages = [pool.page()]
    while pages[-1].next_token is not None:
        pages.append(pool.page("", pages[-1].next_token))
    assert [len(page.users) for page in pages] == lengths
    assert {user.sub for page in pages for user in page.users} == users.keys()


def test_page_has_unusable_users_beside_the_others(pool: UserPool, users: UsersInMemory) -> None:
    third = f"b6{SUB[2:]}"
    users.add(a_user(OTHER_SUB, missing=UNUSABLE), a_user(), a_user(third, missing=WITHOUT_SUB))
    page = pool.page("b")
    assert [user.sub for user in page.users] == [SUB]
    assert {error.sub for error in page.unusable} == {OTHER_SUB, ""}


def test_page_raises_prefix_rejected_error_for_a_rejected_filter(cognito: CognitoPool, pool: UserPool) -> None:
    cognito.rejects_prefixes = True
    with pytest.raises(PrefixRejectedError):
        pool.page("b")


@pytest.mark.parametrize(
    ("prefix", "token", "error"),
    # The first page of the shard had the same filter.
    [
        ("", None, CognitoRejectedError),
        ("b", "expired", PagingTokenRejectedError),
        ("", "expired", PagingTokenRejectedError),
    ],
    ids=["no-filter", "token", "token-without-filter"],
)
def test_find_raises_cognito_rejected_error_for_a_rejected_filter(
    aws: FakeAws, pool: UserPool, prefix: str, token: str | None, error: type[CognitoRejectedError]
) -> None:
    aws.on(LIST, error_response("InvalidParameterException"))
    with pytest.raises(CognitoRejectedError) as raised:
        pool.page(prefix, token)
    assert type(raised.value) is error


def test_page_raises_prefix_rejected_error_for_other_users(
    cognito: CognitoPool, pool: UserPool, users: UsersInMemory
) -> None:
    users.add(a_user(), a_user(OTHER_SUB))
    cognito.ignores_filters = True
    assert len(pool.page("b").users) == 2
    with pytest.raises(PrefixRejectedError):
        pool.page("b4")


def test_find_returns_the_user_with_the_sub(aws: FakeAws, pool: UserPool, users: UsersInMemory) -> None:
    users.add(a_user(), a_user(OTHER_SUB))
    found = pool.find(SUB)
    assert found is not None
    assert (found.sub, found.observed_at) == (SUB, at(0))
    assert [call.body for call in aws.calls] == [{"UserPoolId": POOL_ID, "Limit": 1, "Filter": f'sub = "{SUB}"'}]


def test_find_reads_past_empty_pages(aws: FakeAws, cognito: CognitoPool, pool: UserPool, users: UsersInMemory) -> None:
    users.add(a_user())
    cognito.page_sizes = (0, 0, 1)
    cognito.ends_with_an_empty_page = True
    found = pool.find(SUB)
    assert found is not None
    assert found.observed_at == at(2)
    assert ["PaginationToken" in call.body for call in aws.calls] == [False, True, True]
    assert {call.body["Filter"] for call in aws.calls} == {f'sub = "{SUB}"'}


def test_find_returns_none_for_an_unlisted_user(aws: FakeAws, cognito: CognitoPool, pool: UserPool) -> None:
    more = Response({"Users": [], "PaginationToken": f'sub = "{SUB}"|'})
    cognito.calls.answer_next(LIST_USERS, more)
    assert pool.find(SUB) is None
    assert aws.operations == [LIST] * 2


def test_find_can_be_tried_again_when_a_marker_is_rejected(aws: FakeAws, pool: UserPool) -> None:
    aws.on(LIST, Response({"Users": [], "PaginationToken": "more"}), error_response("InvalidParameterException"))
    with pytest.raises(CognitoUnavailableError):
        pool.find(SUB)


def test_find_raises_unusable_user_error(pool: UserPool, users: UsersInMemory) -> None:
    users.add(a_user(missing=UNUSABLE))
    with pytest.raises(UnusableUserError) as raised:
        pool.find(SUB)
    assert raised.value.sub == SUB


def test_find_does_not_return_another_user(cognito: CognitoPool, pool: UserPool, users: UsersInMemory) -> None:
    users.add(a_user(OTHER_SUB))
    cognito.ignores_filters = True
    with pytest.raises(CognitoRejectedError) as rejected:
        pool.find(SUB)
    assert type(rejected.value) is CognitoRejectedError, "a listing by prefix is not at fault"


def test_is_deleted_if_cognito_does_not_know_the_user(aws: FakeAws, pool: UserPool) -> None:
    assert pool.is_deleted(SUB, "ada") is True
    assert [(call.operation, call.body) for call in aws.calls] == [(GET, {"UserPoolId": POOL_ID, "Username": "ada"})]


def test_is_deleted_is_false_if_cognito_knows_the_user(aws: FakeAws, pool: UserPool, users: UsersInMemory) -> None:
    users.add(a_user())
    assert pool.is_deleted(SUB, "ada") is False
    assert aws.operations == [GET]


@pytest.mark.parametrize("is_listed", [False, True], ids=["list-agrees", "list-does-not"])
def test_is_deleted_checks_the_list_for_a_reused_username(
    aws: FakeAws, pool: UserPool, users: UsersInMemory, is_listed: bool
) -> None:
    users.add(a_user(OTHER_SUB), *[a_user(username="ada.l")] * is_listed)
    assert pool.is_deleted(SUB, "ada") is not is_listed
    assert aws.calls[1].body["Filter"] == f'sub = "{SUB}"'


def test_is_deleted_is_false_for_an_answer_without_a_sub(pool: UserPool, users: UsersInMemory) -> None:
    users.add(a_user(attributes={}, missing=WITHOUT_SUB))
    assert pool.is_deleted(SUB, "ada") is False


def test_estimated_users_returns_cognitos_estimate(aws: FakeAws, cognito: CognitoPool, pool: UserPool) -> None:
    cognito.facts["EstimatedNumberOfUsers"] = 1_234_567
    assert pool.estimated_users() == 1_234_567
    assert [call.body for call in aws.calls] == [{"UserPoolId": POOL_ID}]


def test_a_pool_without_an_estimate_counts_as_empty(aws: FakeAws, pool: UserPool) -> None:
    aws.on(DESCRIBE, Response({"UserPool": {"Id": POOL_ID}}))
    assert pool.estimated_users() == 0


# How it fails.

READS: dict[str, tuple[str, Callable[[UserPool], object]]] = {
    "page": (LIST, lambda pool: pool.page("b")),
    "find": (LIST, lambda pool: pool.find(SUB)),
    "is_deleted": (GET, lambda pool: pool.is_deleted(SUB, "ada")),
    "estimated_users": (DESCRIBE, lambda pool: pool.estimated_users()),
}


@pytest.mark.parametrize(
    "answer",
    [
        error_response("TooManyRequestsException"),
        error_response("TooManyRequestsException", 429),
        error_response("ThrottlingException"),
        error_response("LimitExceededException"),
        error_response("InternalErrorException"),
        error_response("ServiceUnavailable", 503),
        Response(b"<html>Bad gateway</html>", 502),
    ],
    ids=lambda answer: f"{answer.status}-{'html' if isinstance(answer.body, bytes) else answer.body['__type']}",
)
@pytest.mark.parametrize("read", READS)
def test_throttled_call_raises_cognito_unavailable_error(
    aws: FakeAws, pool: UserPool, read: str, answer: Response
) -> None:
    operation, call = READS[read]
    aws.on(operation, answer)
    with pytest.raises(CognitoUnavailableError):
        call(pool)


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://cognito"),
        ReadTimeoutError(endpoint_url="https://cognito"),
        EndpointConnectionError(endpoint_url="https://cognito", error="unreachable"),
        ConnectionClosedError(endpoint_url="https://cognito"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("read", READS)
def test_unreachable_pool_raises_cognito_unavailable_error(
    aws: FakeAws, pool: UserPool, read: str, error: BotoCoreError
) -> None:
    operation, call = READS[read]
    aws.on(operation, error)
    with pytest.raises(CognitoUnavailableError, match=type(error).__name__):
        call(pool)


@pytest.mark.parametrize("code", ["NotAuthorizedException", "ResourceNotFoundException"])
@pytest.mark.parametrize("read", READS)
def test_rejected_call_raises_cognito_rejected_error(aws: FakeAws, pool: UserPool, read: str, code: str) -> None:
    operation, call = READS[read]
    aws.on(operation, error_response(code))
    with pytest.raises(CognitoRejectedError, match=code) as raised:
        call(pool)
    # A rejected pool is not listed without prefixes.
    assert type(raised.value) is CognitoRejectedError


@pytest.mark.parametrize("answer", [{}, {"Users": None}], ids=["missing", "null"])
def test_page_raises_unavailable_without_users_in_the_response(
    aws: FakeAws, pool: UserPool, answer: dict[str, None]
) -> None:
    # A user who is not on a list that ends is taken for deleted.
    aws.on(LIST, Response(answer))
    with pytest.raises(CognitoUnavailableError):
        pool.page()


def test_page_treats_an_empty_token_as_the_end(aws: FakeAws, pool: UserPool) -> None:
    aws.on(LIST, Response({"Users": [a_user().listed()], "PaginationToken": ""}))
    assert pool.page().next_token is None


@pytest.mark.parametrize(
    "answer", [{"Username": "ada"}, {"Username": "ada", "UserAttributes": [{"Value": "ada"}]}], ids=["none", "nameless"]
)
def test_is_deleted_is_false_for_an_unclear_answer(aws: FakeAws, pool: UserPool, answer: dict[str, Any]) -> None:
    aws.on(GET, Response(answer))
    assert pool.is_deleted(SUB, "ada") is False


# Groups


def test_with_groups_reads_all_pages_and_keeps_the_time_before(
    pool: UserPool, cognito: CognitoPool, users: UsersInMemory
) -> None:
    cognito.groups = [f"group-{number}" for number in range(150)]
    users.add(a_user(groups={*cognito.groups, "of another pool"}))
    found = pool.with_groups(users[SUB].seen())
    assert (found.groups, found.groups_observed_at) == (frozenset(cognito.groups), at(0))
    assert pool.with_groups(a_user(OTHER_SUB, username="deleted").seen()).groups is None


def test_group_lists_have_all_pages(pool: UserPool, cognito: CognitoPool, users: UsersInMemory) -> None:
    cognito.groups, cognito.page_sizes = ["a", "b", "c"], [2, 1, 1]
    users.add(a_user(groups={"b"}), a_user(OTHER_SUB, username="grace", groups={"b"}))
    names, token = pool.group_names()
    assert (names, pool.group_names(token)) == (["a", "b"], (["c"], None))
    pages = [pool.members("b"), pool.members("b", "Users b|1")]
    assert pages == [([SUB], "Users b|1"), ([OTHER_SUB], None)]
    assert pool.members("gone") is None
    assert [pool.has_group(name) for name in ("a", "gone")] == [True, False]


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("AdminListGroupsForUser", lambda pool: pool.groups("ada")),
        ("ListGroups", lambda pool: pool.group_names()),
        ("ListUsersInGroup", lambda pool: pool.members("a")),
    ],
)
def test_answer_without_groups_is_not_an_empty_list(
    pool: UserPool, aws: FakeAws, operation: str, read: Callable[[UserPool], object]
) -> None:
    """All groups would be removed from items."""
    aws.on(f"{COGNITO}.{operation}", Response({}))
    with pytest.raises(CognitoUnavailableError, match=operation):
        read(pool)


def test_has_group_raises_when_the_pool_does_not_exist(pool: UserPool, cognito: CognitoPool) -> None:
    """Cognito returns the same error as for a group that does not exist."""
    cognito.exists = False
    with pytest.raises(CognitoRejectedError):
        pool.has_group("a")
