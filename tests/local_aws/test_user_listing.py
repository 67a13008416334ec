"""Subs and pages as Cognito has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.local_aws.conftest import name

if TYPE_CHECKING:
    from local_aws.client import LocalAws

REGIONAL = re.compile(r".4.8.4.8-.0.1-.*")


def a_pool_of(aws: LocalAws, users: int) -> tuple[str, set[str]]:
    """The pool's id, and its users' subs."""
    cognito = aws.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=name("pool"))["UserPool"]["Id"]
    made = [cognito.admin_create_user(UserPoolId=pool, Username=name("user"))["User"] for _ in range(users)]
    return pool, {attribute["Value"] for user in made for attribute in user["Attributes"] if attribute["Name"] == "sub"}


def pages(aws: LocalAws, pool: str, **arguments: Any) -> list[list[str]]:
    """The subs on each page, until there is no token."""
    cognito = aws.client("cognito-idp")
    listed: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        page = cognito.list_users(UserPoolId=pool, **arguments, **token)
        listed.append([a["Value"] for user in page["Users"] for a in user["Attributes"] if a["Name"] == "sub"])
        if "PaginationToken" not in page:
            return listed
        token = {"PaginationToken": page["PaginationToken"]}


def test_subs_are_of_both_kinds(aws: LocalAws) -> None:
    _, subs = a_pool_of(aws, 8)
    assert len(subs) == 8
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", sub) for sub in subs)
    regional = [sub for sub in subs if REGIONAL.fullmatch(sub)]
    assert 0 < len(regional) < 8


def test_list_users_has_short_and_empty_pages(aws: LocalAws) -> None:
    pool, subs = a_pool_of(aws, 12)
    aws.set_quotas({"cognito-idp:ListUsers": {"short_pages": 0.8}})
    lengths: set[int] = set()
    for _ in range(20):
        listed = pages(aws, pool, Limit=4)
        assert {sub for page in listed for sub in page} == subs
        assert sum(map(len, listed)) == 12
        lengths.update(map(len, listed[:-1]))
    assert {0, 4} < lengths, "empty, short and full ones"
    aws.clear_quotas()
    assert [len(page) for page in pages(aws, pool, Limit=4)] == [4, 4, 4]


def test_rejected_marker_fails_calls_with_a_token_alone(aws: LocalAws) -> None:
    pool, subs = a_pool_of(aws, 3)
    aws.set_faults([{"operation": "cognito-idp:ListUsers", "fault": "rejected_marker", "times": 1}])
    with pytest.raises(aws.client("cognito-idp").exceptions.InvalidParameterException, match="Paging marker"):
        pages(aws, pool, Limit=2)
    assert {sub for page in pages(aws, pool, Limit=2) for sub in page} == subs
    assert [fault["fired"] for fault in aws.faults()] == [1]
