"""CognitoPool, on which the unit tests and the benchmarks rely, answers as the local AWS does.

The local AWS is more lenient in two ways, for which tests/unit/test_cognito_pool.py tests CognitoPool alone: a page
token is valid for any filter, and a filter that it does not know returns every user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.fakes.cognito_pool import CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import cognito_client
from tests.local_aws.conftest import name
from tests.samples import OTHER, OURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

    from local_aws.client import LocalAws

USERNAMES = [f"user-{number}" for number in range(5)]
# Members by group.
GROUPS = {"all": USERNAMES, "some": USERNAMES[:2], "none": []}


class Pool:
    """A client of a pool with a user for each of USERNAMES."""

    def __init__(self, client: CognitoIdentityProviderClient, pool_id: str) -> None:
        self.client = client
        self.id = pool_id

    def pages(self, query: str = "", limit: int = 60) -> list[list[str]]:
        """Return the usernames on each page of the list."""
        arguments: Any = {"UserPoolId": self.id, "Limit": limit, **({"Filter": query} if query else {})}
        pages: list[list[str]] = []
        while True:
            page = self.client.list_users(**arguments)
            pages.append([user["Username"] for user in page["Users"]])
            if "PaginationToken" not in page:
                return pages
            arguments["PaginationToken"] = page["PaginationToken"]

    def sub(self, username: str) -> str:
        found = self.client.admin_get_user(UserPoolId=self.id, Username=username)
        [sub] = [each["Value"] for each in found["UserAttributes"] if each["Name"] == "sub"]
        return sub

    def settings(self) -> dict[str, Any]:
        found: Any = self.client.describe_user_pool(UserPoolId=self.id)["UserPool"]
        return dict(found)


@pytest.fixture(scope="module")
def pool_of_local_aws(aws: LocalAws) -> Pool:
    client = aws.client("cognito-idp")
    pool_id = client.create_user_pool(PoolName=name("pool"))["UserPool"]["Id"]
    for username in USERNAMES:
        client.admin_create_user(UserPoolId=pool_id, Username=username)
    for group, members in GROUPS.items():
        client.create_group(UserPoolId=pool_id, GroupName=group)
        for username in members:
            client.admin_add_user_to_group(UserPoolId=pool_id, GroupName=group, Username=username)
    return Pool(client, pool_id)


@pytest.fixture(params=["local-aws", "cognito-pool"])
def pool(request: pytest.FixtureRequest, pool_of_local_aws: Pool) -> Pool:
    if request.param == "local-aws":
        return pool_of_local_aws
    users = [
        CognitoUser(
            pool_of_local_aws.sub(username),
            username,
            status="FORCE_CHANGE_PASSWORD",
            groups={group for group, members in GROUPS.items() if username in members},
        )
        for username in USERNAMES
    ]
    pool = CognitoPool(UsersInMemory(*users))
    pool.groups = [*GROUPS]
    return Pool(cognito_client(pool), pool.facts["Id"])


def test_list_users_returns_every_user(pool: Pool) -> None:
    [page] = pool.pages()
    assert sorted(page) == USERNAMES


def test_list_users_pages_by_limit(pool: Pool) -> None:
    pages = pool.pages(limit=2)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(username for page in pages for username in page) == USERNAMES


def test_list_users_finds_user_by_sub(pool: Pool) -> None:
    for username in USERNAMES:
        assert pool.pages(f'sub = "{pool.sub(username)}"', limit=1) == [[username]]


def test_list_users_finds_no_user_by_beginning_of_sub(pool: Pool) -> None:
    assert pool.pages(f'sub = "{pool.sub(USERNAMES[0])[:8]}"') == [[]]


def test_list_users_finds_users_by_prefix_of_sub(pool: Pool) -> None:
    subs = {username: pool.sub(username) for username in USERNAMES}
    for length in (1, 2, 8, 9, 36):
        prefix = subs[USERNAMES[0]][:length]
        [page] = pool.pages(f'sub ^= "{prefix}"')
        assert sorted(page) == [username for username in USERNAMES if subs[username].startswith(prefix)]


def test_list_users_gives_members_of_user(pool: Pool) -> None:
    sub = pool.sub(USERNAMES[0])
    [user] = pool.client.list_users(UserPoolId=pool.id, Filter=f'sub = "{sub}"')["Users"]
    assert {"Name": "sub", "Value": sub} in user["Attributes"]
    assert (user["Username"], user["Enabled"], user["UserStatus"]) == (USERNAMES[0], True, "FORCE_CHANGE_PASSWORD")
    assert user["UserCreateDate"] <= user["UserLastModifiedDate"]


def test_group_lists_have_groups_and_members(pool: Pool) -> None:
    names = [group["GroupName"] for group in pool.client.list_groups(UserPoolId=pool.id)["Groups"]]
    assert sorted(names) == sorted(GROUPS)
    assert pool.client.get_group(UserPoolId=pool.id, GroupName="none")["Group"]["GroupName"] == "none"
    for username in USERNAMES:
        found = pool.client.admin_list_groups_for_user(UserPoolId=pool.id, Username=username)["Groups"]
        expected = [group for group, members in GROUPS.items() if username in members]
        assert sorted(group["GroupName"] for group in found) == expected


def test_list_users_in_group_pages_by_limit(pool: Pool) -> None:
    for group, members in GROUPS.items():
        arguments: Any = {"UserPoolId": pool.id, "GroupName": group, "Limit": 2}
        pages = []
        while True:
            page = pool.client.list_users_in_group(**arguments)
            pages.append(page["Users"])
            if "NextToken" not in page:
                break
            arguments["NextToken"] = page["NextToken"]
        assert [len(page) for page in pages] == {5: [2, 2, 1], 2: [2], 0: [0]}[len(members)]
        assert sorted(user["Username"] for page in pages for user in page) == members
        assert all({"Name": "sub", "Value": pool.sub(user["Username"])} in user["Attributes"] for user in pages[0])


def rejections(pool: Pool) -> dict[str, Callable[[], object]]:
    client, unknown = pool.client, "eu-central-1_nowhere00"
    return {
        "unknown-user": lambda: client.admin_get_user(UserPoolId=pool.id, Username="unknown"),
        "list-of-unknown-pool": lambda: client.list_users(UserPoolId=unknown),
        "unknown-pool": lambda: client.describe_user_pool(UserPoolId=unknown),
        "update-of-unknown-pool": lambda: client.update_user_pool(UserPoolId=unknown),
        "groups-of-unknown-user": lambda: client.admin_list_groups_for_user(UserPoolId=pool.id, Username="unknown"),
        "unknown-group": lambda: client.get_group(UserPoolId=pool.id, GroupName="unknown"),
        "members-of-unknown-group": lambda: client.list_users_in_group(UserPoolId=pool.id, GroupName="unknown"),
        "groups-of-unknown-pool": lambda: client.list_groups(UserPoolId=unknown),
        "both-names-of-a-setting": lambda: client.update_user_pool(
            UserPoolId=pool.id,
            Policies={"PasswordPolicy": {"TemporaryPasswordValidityDays": 7}},
            AdminCreateUserConfig={"UnusedAccountValidityDays": 7},
        ),
    }


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("unknown-user", "UserNotFoundException"),
        ("list-of-unknown-pool", "ResourceNotFoundException"),
        ("unknown-pool", "ResourceNotFoundException"),
        ("update-of-unknown-pool", "ResourceNotFoundException"),
        ("groups-of-unknown-user", "UserNotFoundException"),
        ("unknown-group", "ResourceNotFoundException"),
        ("members-of-unknown-group", "ResourceNotFoundException"),
        ("groups-of-unknown-pool", "ResourceNotFoundException"),
        ("both-names-of-a-setting", "InvalidParameterException"),
    ],
)
def test_pool_refuses_call(pool: Pool, call: str, code: str) -> None:
    with pytest.raises(ClientError) as raised:
        rejections(pool)[call]()
    assert raised.value.response["Error"]["Code"] == code
    assert type(raised.value).__name__ == code


def test_describe_user_pool_gives_name_and_estimate(pool: Pool) -> None:
    settings = pool.settings()
    assert (settings["Id"], settings["EstimatedNumberOfUsers"]) == (pool.id, len(USERNAMES))
    assert settings["Name"]
    assert settings["Policies"]["PasswordPolicy"]["MinimumLength"] == 8


def test_update_user_pool_resets_what_it_leaves_out(pool: Pool) -> None:
    policies: Any = {"PasswordPolicy": {"MinimumLength": 20}}
    pool.client.update_user_pool(
        UserPoolId=pool.id,
        Policies=policies,
        EmailVerificationSubject="Your code",
        LambdaConfig={"PostConfirmation": OURS, "PreSignUp": OTHER},
    )
    before = pool.settings()
    assert before["LambdaConfig"] == {"PostConfirmation": OURS, "PreSignUp": OTHER}
    assert before["Policies"]["PasswordPolicy"]["MinimumLength"] == 20
    assert before["EmailVerificationSubject"] == "Your code"

    pool.client.update_user_pool(UserPoolId=pool.id, LambdaConfig={"PreSignUp": OTHER})
    after = pool.settings()
    assert after["LambdaConfig"] == {"PreSignUp": OTHER}
    assert after["Policies"]["PasswordPolicy"]["MinimumLength"] == 8
    assert after.get("EmailVerificationSubject", "") == ""


def test_mfa_settings_are_read_as_they_were_set(pool: Pool) -> None:
    mfa: Any = {"SoftwareTokenMfaConfiguration": {"Enabled": True}, "MfaConfiguration": "OPTIONAL"}
    pool.client.set_user_pool_mfa_config(UserPoolId=pool.id, **mfa)
    found = pool.client.get_user_pool_mfa_config(UserPoolId=pool.id)
    assert {name: found.get(name) for name in mfa} == mfa
    assert pool.settings()["MfaConfiguration"] == "OPTIONAL"
