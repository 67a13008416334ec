"""What a change of a user, as CloudTrail tells of it, does to the user's item.

Foreign users, deleted users and answers of Cognito from before the change cost as few requests as possible.
"""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from cognito_user_sync import sync_request
from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.changes import sync_change
from cognito_user_sync.sync_request import Change, NotConsistentYetError, SyncRequest
from cognito_user_sync.user import UnusableUserError, timestamp
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError, UserPool
from cognito_user_sync.user_table import (
    DeletedUsers,
    DeletionPolicy,
    Outcome,
    TableRejectedError,
    TableUnavailableError,
)
from tests.fakes.answers import error_response
from tests.fakes.calls import Calls
from tests.fakes.clock import EPOCH, Clock
from tests.fakes.cognito_pool import GET, GROUPS_OF_USER, LIST, LONG_AGO, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import cognito_client
from tests.fakes.simulated_table import READ, WRITE, SimulatedTable, plain_item
from tests.samples import OTHER_SUB, POOL_ID, SUB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OCCURRED_AT, EARLIER = timestamp(EPOCH), "2025-12-31T23:59:58.999Z"
# CloudTrail's event names, as modules/change_tracking lists them.
MOVES_MODIFIED_DATE = (
    "AdminDeleteUserAttributes",
    "AdminDisableUser",
    "AdminEnableUser",
    "AdminUpdateUserAttributes",
    "DeleteUserAttributes",
    "UpdateUserAttributes",
    "VerifyUserAttribute",
)
FIRST_SIGN_INS = ("AdminRespondToAuthChallenge", "RespondToAuthChallenge")
EVENTS_WITHOUT_WELCOME = (*MOVES_MODIFIED_DATE, "AdminCreateUser", "AdminSetUserPassword", "ChangePassword")
# Calls of the user: the event may be of another pool.
SELF_SERVICE = ("ChangePassword", "DeleteUserAttributes", "UpdateUserAttributes", "VerifyUserAttribute")


@pytest.fixture
def users() -> UsersInMemory:
    """The users of the pool."""
    return UsersInMemory()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def table(calls: Calls) -> Iterator[SimulatedTable]:
    # In the session that the other fixtures know.
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield SimulatedTable(calls, boto3.client("dynamodb"))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.replace_now(monkeypatch)
    return clock


class Sync:
    """Syncs a change of SUB, with the pool and the table of a test."""

    def __init__(self, users: UsersInMemory, calls: Calls, table: SimulatedTable, clock: Clock) -> None:
        cognito = CognitoPool(users, calls=calls)
        cognito.groups = ["admin", "staff"]
        self.pool = UserPool(cognito_client(cognito), POOL_ID)
        self.table, self.clock = table, clock
        self.deletion = DeletionPolicy()
        self.welcomed: list[SyncRequest] = []
        self.sync_groups = False

    def __call__(self, event_name: str, occurred_at: str = OCCURRED_AT, sub: str = SUB) -> Outcome:
        change = Change(sub, event_name, occurred_at)
        table = self.table.users(self.deletion, self.sync_groups)
        return sync_change(self.pool, table, change, self.welcomed.append)


@pytest.fixture
def sync(users: UsersInMemory, calls: Calls, table: SimulatedTable, clock: Clock) -> Sync:
    return Sync(users, calls, table, clock)


def a_user(modified_at: str = OCCURRED_AT, **changes: object) -> CognitoUser:
    members = {"attributes": {"name": "Countess"}, "enabled": False, **changes}
    return CognitoUser(SUB, "ada.l", modified_at=datetime.fromisoformat(modified_at), **members)  # type: ignore[arg-type]


# A user whom the list shows.


def test_sync_change_writes_the_current_user(
    sync: Sync, users: UsersInMemory, table: SimulatedTable, calls: Calls
) -> None:
    users.add(a_user())
    assert sync("AdminDisableUser") == "created"
    assert table.items() == {
        SUB: {
            "id": SUB,
            "name": "Countess",
            "username": "ada.l",
            "status": "CONFIRMED",
            "enabled": False,
            "cognito_created_at": timestamp(LONG_AGO),
            "cognito_modified_at": OCCURRED_AT,
            "observed_at": "2026-01-01T00:00:00.001Z",
            "synced_at": "2026-01-01T00:00:00.002Z",
            "shard": f"{POOL_ID}#b",
            "user_pool_id": POOL_ID,
            "synced_attributes": [
                *("cognito_created_at", "cognito_modified_at", "enabled", "name", "status", "username"),
            ],
        }
    }
    # Not AdminGetUser, which could make a user count as monthly active.
    assert calls.operations == [LIST, WRITE]


def test_sync_change_is_idempotent(sync: Sync, users: UsersInMemory, table: SimulatedTable) -> None:
    users.add(a_user())
    sync("AdminDisableUser")
    before = table.items()
    assert sync("AdminDisableUser") == "unchanged"
    assert table.items() == before


def test_sync_change_does_not_write_an_unconfirmed_user(
    sync: Sync, users: UsersInMemory, table: SimulatedTable
) -> None:
    users.add(a_user(status="UNCONFIRMED"))
    assert sync("AdminUpdateUserAttributes") == "unconfirmed"
    assert table.items() == {}


@pytest.mark.parametrize("event_name", MOVES_MODIFIED_DATE)
def test_sync_change_writes_an_older_answer_and_comes_again(
    sync: Sync, users: UsersInMemory, table: SimulatedTable, monkeypatch: pytest.MonkeyPatch, event_name: str
) -> None:
    monkeypatch.setattr(sync_request, "datetime", Clock(1).datetime)
    users.add(a_user(EARLIER, enabled=True))
    with pytest.raises(NotConsistentYetError, match=SUB):
        sync(event_name)
    assert table.items()[SUB]["enabled"] is True
    users.add(a_user())
    assert sync(event_name) == "updated"
    assert table.items()[SUB]["enabled"] is False


@pytest.mark.parametrize(
    ("seconds", "occurred_at", "is_settled"),
    [(1, OCCURRED_AT, False), (899, OCCURRED_AT, False), (900, OCCURRED_AT, True), (1, "9999-12-31T00:00:00Z", True)],
    ids=["immediately", "15 minutes", "later", "year 9999"],
)
@pytest.mark.parametrize(
    ("event_name", "outcome"),
    [("AdminUpdateUserAttributes", "unchanged"), ("AdminCreateUser", "not_ours"), ("DeleteUser", "not_ours")],
)
def test_sync_change_comes_again_while_no_answer_shows_it(
    sync: Sync,
    users: UsersInMemory,
    table: SimulatedTable,
    monkeypatch: pytest.MonkeyPatch,
    event_name: str,
    outcome: str,
    seconds: int,
    occurred_at: str,
    is_settled: bool,
) -> None:
    """ListUsers lags, or another function still writes the item of a user who is deleted already."""
    monkeypatch.setattr(sync_request, "datetime", Clock(seconds).datetime)
    if event_name == "AdminUpdateUserAttributes":
        table.put(a_user(EARLIER))
        users.add(a_user(EARLIER))
    if is_settled:
        assert sync(event_name, occurred_at) == outcome
    else:
        with pytest.raises(NotConsistentYetError, match=SUB):
            sync(event_name, occurred_at)


@pytest.mark.parametrize("modified_at", ["2026-01-01T00:00:00.400Z", "2025-12-31T23:59:59.000Z"])
def test_sync_change_accepts_a_read_in_the_second_of_the_change(
    sync: Sync, users: UsersInMemory, monkeypatch: pytest.MonkeyPatch, modified_at: str
) -> None:
    """CloudTrail's times have whole seconds, and are those of the end of a call."""
    monkeypatch.setattr(sync_request, "datetime", Clock(1).datetime)
    users.add(a_user(modified_at))
    assert sync("AdminDisableUser") == "created"


@pytest.mark.parametrize(
    "event_name",
    ["AdminConfirmSignUp", "AdminSetUserPassword", "AdminCreateUser", "RespondToAuthChallenge", "ChangePassword", ""],
)
def test_sync_change_does_not_retry_events_without_a_new_date(
    sync: Sync, users: UsersInMemory, calls: Calls, monkeypatch: pytest.MonkeyPatch, event_name: str
) -> None:
    monkeypatch.setattr(sync_request, "datetime", Clock(1).datetime)
    users.add(a_user(EARLIER))
    assert sync(event_name) == "created"
    assert calls.operations == [LIST, WRITE]


# An invited user, at the first sign-in.


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Returns a function that sets how many seconds after OCCURRED_AT a change is synced."""
    return lambda seconds: monkeypatch.setattr(sync_request, "datetime", Clock(seconds).datetime)


DAYS = 24 * 3600
WELCOME = SyncRequest(SUB, "ada.l", "sign_up", OCCURRED_AT, "CLIENT_ID_NOT_APPLICABLE")


@pytest.mark.parametrize("known", ["FORCE_CHANGE_PASSWORD", "CONFIRMED", None])
@pytest.mark.parametrize("event_name", FIRST_SIGN_INS)
def test_sync_change_starts_an_execution_after_the_first_sign_in(
    sync: Sync,
    users: UsersInMemory,
    table: SimulatedTable,
    now: Callable[[float], None],
    event_name: str,
    known: str | None,
) -> None:
    """Whatever the item says: the reconciliation or another change may have been faster, or slower."""
    now(1)
    if known:
        table.put(a_user(EARLIER, created_at=EPOCH, status=known))
    users.add(a_user(created_at=EPOCH))
    sync(event_name)
    assert sync.welcomed == [WELCOME]
    assert WELCOME.execution_name() == f"sign-up-{SUB}"
    assert table.items()[SUB]["status"] == "CONFIRMED"


@pytest.mark.parametrize("event_name", [*EVENTS_WITHOUT_WELCOME, ""])
def test_sync_change_starts_no_execution_after_other_changes(
    sync: Sync, users: UsersInMemory, now: Callable[[float], None], event_name: str
) -> None:
    """Not even AdminSetUserPassword, which confirms an imported user who does not sign in."""
    now(1)
    users.add(a_user(created_at=EPOCH))
    sync(event_name)
    assert sync.welcomed == []


@pytest.mark.parametrize(("days", "welcomed"), [(88.9, [WELCOME]), (89, [])])
def test_sync_change_starts_an_execution_only_within_89_days(
    sync: Sync, users: UsersInMemory, now: Callable[[float], None], days: float, welcomed: list[SyncRequest]
) -> None:
    """A user who was welcomed earlier, and has a temporary password now, is not welcomed again."""
    now(days * DAYS)
    users.add(a_user(created_at=EPOCH))
    sync("RespondToAuthChallenge")
    assert sync.welcomed == welcomed


@pytest.mark.parametrize(("seconds", "is_settled"), [(1, False), (899, False), (900, True)])
def test_first_sign_in_comes_again_while_the_list_does_not_show_it(
    sync: Sync, users: UsersInMemory, now: Callable[[float], None], seconds: int, is_settled: bool
) -> None:
    now(seconds)
    users.add(a_user(created_at=EPOCH, status="FORCE_CHANGE_PASSWORD"))
    if is_settled:
        assert sync("RespondToAuthChallenge") == "created"
    else:
        with pytest.raises(NotConsistentYetError, match=SUB):
            sync("RespondToAuthChallenge")
    assert sync.welcomed == []


def test_sync_change_starts_no_execution_for_another_pool(sync: Sync, now: Callable[[float], None]) -> None:
    now(1)
    assert sync("RespondToAuthChallenge") == "not_ours"
    assert sync.welcomed == []


# A user whom neither the pool nor the table has.


@pytest.mark.parametrize("event_name", SELF_SERVICE)
@pytest.mark.parametrize("action", DeletedUsers)
def test_sync_change_lists_a_foreign_user_once(
    sync: Sync,
    table: SimulatedTable,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    action: DeletedUsers,
    event_name: str,
) -> None:
    monkeypatch.setattr(sync_request, "datetime", Clock(1).datetime)
    sync.deletion = DeletionPolicy(action)
    assert sync(event_name) == "not_ours"
    assert (calls.operations, table.items()) == ([LIST, READ], {})


@pytest.mark.parametrize("event_name", ["AdminDeleteUser", "DeleteUser"])
@pytest.mark.parametrize("action", DeletedUsers)
def test_sync_change_makes_no_request_for_a_deleted_foreign_user(
    sync: Sync, table: SimulatedTable, calls: Calls, action: DeletedUsers, event_name: str
) -> None:
    """No tombstone either: a user without an item leaves nothing."""
    sync.deletion = DeletionPolicy(action)
    assert sync(event_name) == "not_ours"
    assert (calls.operations, table.items()) == ([READ], {})


def test_sync_change_returns_not_ours_for_an_unlisted_user(
    sync: Sync, table: SimulatedTable, calls: Calls, clock: Clock
) -> None:
    """As one who was deleted right away."""
    assert sync("AdminCreateUser") == "not_ours"
    assert (calls.operations, table.items()) == ([LIST, READ], {})


@pytest.mark.parametrize("event_name", ["AdminDeleteUser", "UpdateUserAttributes"])
def test_an_item_of_the_application_stays(sync: Sync, table: SimulatedTable, event_name: str) -> None:
    table.client.put_item(TableName=table.name, Item={"id": {"S": SUB}, "theme": {"S": "dark"}})
    assert sync(event_name) == "not_ours"
    assert table.items() == {SUB: {"id": SUB, "theme": "dark"}}


# A user who is deleted.


@pytest.mark.parametrize("event_name", ["AdminDeleteUser", "DeleteUser"])
def test_sync_change_marks_a_deleted_user(sync: Sync, table: SimulatedTable, calls: Calls, event_name: str) -> None:
    table.put(a_user())
    before = table.items()[SUB]
    del before["shard"], before["synced_at"]
    assert sync(event_name) == "deleted"
    after = table.items()[SUB]
    del after["synced_at"]
    # Gone by the moment of the question: what was seen after it is newer.
    assert after == {**before, "status": "DELETED", "enabled": False, "deleted_at": "2026-01-01T00:00:00.001Z"}
    # The list may show a deleted user for a while.
    assert calls.operations == [READ, GET, WRITE]


@pytest.mark.parametrize("event_name", ["DeleteUser", "AdminDisableUser"])
def test_sync_change_keeps_the_item_of_a_deleted_user(
    sync: Sync, table: SimulatedTable, calls: Calls, event_name: str
) -> None:
    table.put(a_user())
    sync("AdminDeleteUser")
    before = table.items()
    assert sync(event_name) == "unchanged"
    assert table.items() == before
    assert calls.count(GET) == 1


def test_sync_change_marks_a_user_deleted_after_the_change(
    sync: Sync, table: SimulatedTable, calls: Calls, clock: Clock
) -> None:
    table.put(a_user())
    assert sync("AdminDisableUser") == "deleted"
    assert "deleted_at" in table.items()[SUB]
    assert calls.operations == [LIST, READ, GET, WRITE], "a deleted user costs one ListUsers"


def test_sync_change_retries_a_deletion_until_cognito_confirms(
    sync: Sync, users: UsersInMemory, table: SimulatedTable
) -> None:
    table.put(a_user())
    before = table.items()
    users.add(a_user())
    with pytest.raises(CognitoUnavailableError):
        sync("AdminDeleteUser")
    assert table.items() == before
    users.remove(SUB)
    assert sync("AdminDeleteUser") == "deleted"


def test_sync_change_retries_a_user_missing_only_in_the_list(
    sync: Sync, users: UsersInMemory, table: SimulatedTable
) -> None:
    table.put(a_user())
    before = table.items()
    users.add(a_user())
    users.unlisted = {SUB}
    with pytest.raises(CognitoUnavailableError):
        sync("AdminDisableUser")
    assert table.items() == before


def test_sync_change_marks_a_deleted_user_with_a_reused_username(
    sync: Sync, users: UsersInMemory, table: SimulatedTable
) -> None:
    table.put(a_user())
    users.add(CognitoUser(OTHER_SUB, "ada.l"))
    assert sync("AdminDeleteUser") == "deleted"
    assert "deleted_at" in table.items()[SUB]
    assert OTHER_SUB not in table.items()


def test_sync_change_keeps_a_deleted_user_if_action_is_keep(sync: Sync, table: SimulatedTable) -> None:
    table.put(a_user())
    before = table.items()
    sync.deletion = DeletionPolicy(DeletedUsers.KEEP)
    assert sync("AdminDeleteUser") == "kept"
    assert table.items() == before


def test_sync_change_makes_at_most_five_calls(
    sync: Sync, users: UsersInMemory, table: SimulatedTable, calls: Calls
) -> None:
    """sync_changes reserves time for these."""
    table.put(a_user())
    users.add(CognitoUser(OTHER_SUB, "ada.l"))
    assert sync("UpdateUserAttributes") == "deleted"
    assert calls.operations == [LIST, READ, GET, LIST, WRITE]


# How it fails: sync_changes leaves the message in the queue.


@pytest.mark.parametrize(
    ("operation", "code", "status", "error"),
    [
        (LIST, "InternalErrorException", 500, CognitoUnavailableError),
        (LIST, "TooManyRequestsException", 400, CognitoUnavailableError),
        (LIST, "AccessDeniedException", 400, AccessDeniedError),
        (LIST, "ResourceNotFoundException", 400, CognitoRejectedError),
        (WRITE, "ThrottlingException", 400, TableUnavailableError),
        (WRITE, "AccessDeniedException", 400, AccessDeniedError),
        (WRITE, "ResourceNotFoundException", 400, TableRejectedError),
    ],
)
def test_sync_change_does_not_retry_failed_calls(
    sync: Sync, users: UsersInMemory, calls: Calls, clock: Clock, operation: str, code: str, status: int, error: type
) -> None:
    users.add(a_user())
    calls.fail(operation, error_response(code, status), None)
    with pytest.raises(error, match=code):
        sync("AdminDisableUser")
    assert calls.count(operation) == 1


def test_sync_change_deletes_no_user_after_a_failed_read(sync: Sync, table: SimulatedTable, calls: Calls) -> None:
    table.put(a_user())
    before = table.items()
    calls.fail(READ, error_response("ThrottlingException"), None)
    with pytest.raises(TableUnavailableError):
        sync("AdminDeleteUser")
    assert table.items() == before


def test_a_user_who_is_unusable_is_named_by_sub(sync: Sync, users: UsersInMemory, calls: Calls) -> None:
    users.add(a_user(missing=frozenset({"UserStatus"})))
    with pytest.raises(UnusableUserError, match=SUB):
        sync("AdminDisableUser")
    assert calls.operations == [LIST]


def test_no_change_makes_an_item_differ_from_cognito(sync: Sync, users: UsersInMemory, table: SimulatedTable) -> None:
    """Whatever a message claims: the event, the time, or the sub."""
    unconfirmed, deleted, foreign = (f"b{digit}c8d9e0-1234-4abc-8def-001122334455" for digit in (6, 7, 8))
    users.add(a_user(EARLIER), CognitoUser(OTHER_SUB), CognitoUser(unconfirmed, status="UNCONFIRMED"))
    table.put(CognitoUser(deleted))
    ended = set()
    for sub, event_name, occurred_at in product(
        (SUB, OTHER_SUB, unconfirmed, deleted, foreign),
        ("AdminCreateUser", "AdminDeleteUser", "UpdateUserAttributes", "", "Unknown"),
        (OCCURRED_AT, "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
    ):
        # A deletion of a user whom Cognito knows is not believed.
        try:
            ended.add(str(sync(event_name, occurred_at, sub)))
        except CognitoUnavailableError:
            ended.add("CognitoUnavailableError")
    found = table.items()
    assert found.pop(deleted)["deleted_at"] < "2026-01-02"
    assert found.keys() == {SUB, OTHER_SUB}
    for sub, item in found.items():
        wanted = plain_item(users[sub])
        assert item == {**wanted, **{name: item[name] for name in ("id", "observed_at", "synced_at")}}
        assert item["observed_at"] < "2026-01-02"
    assert ended == {"created", "unchanged", "unconfirmed", "not_ours", "deleted", "CognitoUnavailableError"}


# Groups


@pytest.fixture
def sync_with_groups(sync: Sync, now: Callable[[float], None]) -> Sync:
    now(1)
    sync.sync_groups = True
    return sync


@pytest.mark.parametrize("event_name", ["AdminAddUserToGroup", "AdminRemoveUserFromGroup"])
def test_sync_change_writes_the_groups(
    sync_with_groups: Sync, users: UsersInMemory, table: SimulatedTable, calls: Calls, event_name: str
) -> None:
    """At the date of before: a change of groups does not move it."""
    users.add(a_user(EARLIER, groups={"staff"}))
    sync_with_groups("AdminCreateUser")
    users[SUB].groups = {"admin"}
    calls.forget()
    sync_with_groups.clock.sleep(5)
    assert sync_with_groups(event_name) == "updated"
    assert table.items()[SUB]["groups"] == ["admin"]
    assert calls.operations == [LIST, GROUPS_OF_USER, READ, WRITE]


def test_sync_change_reads_unchanged_groups_once_more(
    sync_with_groups: Sync, users: UsersInMemory, table: SimulatedTable
) -> None:
    """Cognito may have returned the groups from before the change."""
    users.add(a_user(EARLIER, groups={"staff"}))
    table.put_with_groups(a_user(EARLIER, groups={"staff"}))
    sync_with_groups.clock.sleep(2)
    with pytest.raises(NotConsistentYetError, match=SUB):
        sync_with_groups("AdminAddUserToGroup")
    # Also a call that changed nothing, for example because the user was in the group already.
    assert sync_with_groups("AdminAddUserToGroup") == "updated"


def test_sync_change_does_not_retry_a_change_of_groups_that_the_item_has(
    sync_with_groups: Sync, users: UsersInMemory
) -> None:
    """Of two changes within a second, the first event reads both."""
    users.add(a_user(EARLIER, groups={"admin", "staff"}))
    for _ in range(2):
        assert sync_with_groups("AdminAddUserToGroup") in ("created", "updated")


@pytest.mark.parametrize("event_name", ["AdminAddUserToGroup", "AdminUpdateUserAttributes"])
def test_sync_change_without_sync_groups_reads_no_groups(
    sync: Sync, users: UsersInMemory, table: SimulatedTable, calls: Calls, event_name: str
) -> None:
    users.add(a_user(groups={"staff"}))
    assert sync(event_name) == "created"
    assert "groups" not in str(table.items())
    assert calls.count(GROUPS_OF_USER) == 0


def test_sync_change_writes_attributes_of_a_user_deleted_meanwhile(
    sync_with_groups: Sync, users: UsersInMemory, table: SimulatedTable, calls: Calls
) -> None:
    """The event of the deletion follows."""
    users.add(a_user())
    calls.answer_next(GROUPS_OF_USER, error_response("UserNotFoundException"))
    assert sync_with_groups("AdminDisableUser") == "created"
    assert "groups_observed_at" not in table.items()[SUB]
