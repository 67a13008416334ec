"""The command `export`: formats, sources, and exports that end early and continue."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from cognito_user_sync.item_layout import ItemLayout, Key, marshal
from cognito_user_sync.rate_limit import RateLimiter
from cognito_user_sync.user import UnusableUserError
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError, UserPool
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome, UserTable
from cognito_user_sync_cli import file_lock, user_export, user_records
from cognito_user_sync_cli.deployment import DeploymentError
from cognito_user_sync_cli.export_formats import CsvLines, ImportLines, JsonLines
from cognito_user_sync_cli.target_pool import NotImportableError, TargetPool
from cognito_user_sync_cli.user_export import Export, Progress
from cognito_user_sync_cli.user_records import Batch, Cursor, PoolSource, TableSource, UserRecord
from tests.fakes.answers import Response, error_response
from tests.fakes.calls import Calls
from tests.fakes.cognito_pool import LIST, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import COGNITO, FakeAws, cognito_client
from tests.fakes.simulated_table import LAYOUT, SimulatedTable
from tests.fakes.subs import plain_sub, regional_sub
from tests.samples import OTHER_SUB, POOL_ID, SUB, TABLE, environment, outputs, table_definition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOMENT = "2026-01-01T00:00:00.000Z"
TOMORROW = "2026-01-02T00:00:00.000Z"
ADA = UserRecord(
    SUB, "ada", "CONFIRMED", True, {"email": "ada@example.com", "email_verified": "true"}, None, MOMENT, MOMENT, MOMENT
)


# --- formats


def test_json_line_has_each_value_and_omits_missing_ones() -> None:
    ada = replace(ADA, attributes={"name": "Ada\n\ud800", "custom:plan": "=1"}, groups=("b", "a"), synced_at=MOMENT)
    assert json.loads(JsonLines().line(ada)) == {
        "sub": SUB,
        "username": "ada",
        "status": "CONFIRMED",
        "enabled": True,
        "groups": ["a", "b"],
        **dict.fromkeys(("cognito_created_at", "cognito_modified_at", "observed_at", "synced_at"), MOMENT),
        "name": "Ada\n\ud800",
        "custom:plan": "=1",
    }
    assert JsonLines().line(ada).count(b"\n") == 1


def csv_row(record: UserRecord, *attributes: str) -> dict[str, str]:
    writer = CsvLines(attributes)
    (row,) = csv.DictReader(io.StringIO((writer.header() + writer.line(record)).decode(), newline=""))
    return row


def test_csv_line_has_all_columns() -> None:
    ada = replace(ADA, groups=("b", "a,c"), enabled=False, attributes={"name": 'A "B", C\nD'})
    row = csv_row(ada, "name", "email")
    assert (row["sub"], row["enabled"], row["groups"]) == (SUB, "false", '["a,c", "b"]')
    assert (row["name"], row["email"], row["deleted_at"]) == ('A "B", C\nD', "", "")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("'=1", "''=1"),
        ("a\r=1", "a\r=1"),
        ("+15550142857", "+15550142857"),
        ("-12", "-12"),
        ("a=1", "a=1"),
    ],
)
def test_csv_cell_is_no_formula_and_can_be_read_back(value: str, cell: str) -> None:
    assert csv_row(replace(ADA, attributes={"name": value}), "name")["name"] == cell
    assert cell.removeprefix("'") == value


HEADER = (
    "name",
    "email",
    "email_verified",
    "phone_number_verified",
    "birthdate",
    "cognito:mfa_enabled",
    "cognito:username",
)
BY_EMAIL = TargetPool(POOL_ID, {}, verifies=("email",))


def import_line(record: UserRecord, pool: TargetPool = BY_EMAIL, *assumed: str) -> str:
    return ImportLines(HEADER, pool, assumed).line(record).decode()


def having(**attributes: str) -> UserRecord:
    return replace(ADA, attributes={**ADA.attributes, **attributes})


def test_import_line_has_the_columns_of_the_header() -> None:
    ada = having(name="Lovelace, Ada", birthdate="1815-12-10")
    assert import_line(ada) == "Lovelace\\, Ada,ada@example.com,true,false,12/10/1815,false,ada\n"
    assert import_line(ADA, replace(BY_EMAIL, mfa="ON")) == ",ada@example.com,true,false,,true,ada\n"
    assert ImportLines(HEADER, BY_EMAIL).header().decode() == ",".join(HEADER) + "\n"


def test_import_line_keeps_a_formula() -> None:
    """Cognito imports the value as it is."""
    assert import_line(having(name="=1")).startswith("=1,")


def test_import_line_assumes_verified_addresses_only_on_request() -> None:
    unverified = replace(ADA, attributes={"email": "ada@example.com"})
    with pytest.raises(NotImportableError, match="no verified email"):
        import_line(unverified)
    assert import_line(unverified, BY_EMAIL, "email") == ",ada@example.com,true,false,,false,ada\n"
    with pytest.raises(NotImportableError, match="no verified email"):
        import_line(replace(ADA, attributes={"phone_number": "+15550142857"}), BY_EMAIL, "email")


SIGN_IN_BY_EMAIL = replace(BY_EMAIL, sign_in_by=("email",))


def test_import_line_has_the_username_that_the_pool_accepts() -> None:
    assert import_line(ADA, SIGN_IN_BY_EMAIL).endswith(",ada@example.com\n")


@pytest.mark.parametrize(
    ("record", "pool", "reason"),
    [
        (having(email_verified="false"), BY_EMAIL, "no verified email"),
        (replace(ADA, attributes={"email_verified": "true"}), BY_EMAIL, "no verified email"),
        (ADA, replace(BY_EMAIL, verifies=("phone_number",)), "no verified phone_number"),
        (replace(ADA, enabled=False), BY_EMAIL, "a disabled user: an import job would enable the user"),
        (replace(ADA, status="EXTERNAL_PROVIDER"), BY_EMAIL, "a federated user"),
        (replace(ADA, status="UNCONFIRMED"), BY_EMAIL, "the sign-up is not confirmed"),
        (replace(ADA, username="a b"), BY_EMAIL, "the username has a space or tab"),
        (replace(ADA, username=""), BY_EMAIL, "the user has no username"),
        (replace(ADA, username="a@b.c"), replace(BY_EMAIL, aliases=("email",)), "must not be an email address"),
        (replace(ADA, username="+155"), replace(BY_EMAIL, aliases=("phone_number",)), "must not be a phone number"),
        (
            replace(ADA, attributes={"phone_number": "+1", "phone_number_verified": "true"}),
            replace(SIGN_IN_BY_EMAIL, verifies=("phone_number",)),
            "users of the pool sign in by email: the user has none",
        ),
        (ADA, replace(BY_EMAIL, schema={"name": {"Required": True}}), "the pool requires name"),
        (having(name="a\nb"), BY_EMAIL, "name has a line break"),
        (having(name="a\u2028b"), BY_EMAIL, "name has a line break"),
        (having(name="a\\"), BY_EMAIL, "name has a backslash"),
        (having(name="a\\,b"), BY_EMAIL, "name has a backslash"),
        (having(name='"a"'), BY_EMAIL, "name begins with a quotation mark"),
        (having(birthdate="10.12.1815"), BY_EMAIL, "birthdate is not like 1985-02-01"),
        (having(name="a" * 16_000), BY_EMAIL, "the row has more than 16,000 characters"),
    ],
)
def test_import_line_rejects_users_that_a_job_rejects(record: UserRecord, pool: TargetPool, reason: str) -> None:
    with pytest.raises(NotImportableError, match=reason):
        import_line(record, pool)


# --- sources


def subs_of(batches: Iterator[Batch]) -> list[str]:
    return [record.sub for batch in batches for record in batch.records]


def users(count: int, seed: int = 1) -> list[CognitoUser]:
    source = random.Random(seed)
    kinds = (plain_sub, regional_sub)
    return [
        CognitoUser(kinds[number % 2](source), f"user-{number}", {"name": f"User {number}", "email": f"{number}@b.c"})
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def dynamodb(session: boto3.Session) -> DynamoDBClient:
    return session.client("dynamodb")


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> Iterator[SimulatedTable]:
    with mock_aws():
        yield SimulatedTable(Calls(), dynamodb)


def delete(table: UserTable, sub: str, deleted_at: str = TOMORROW) -> None:
    assert table.delete(sub, deleted_at, table.read([sub])[sub]) is Outcome.DELETED


def test_table_source_has_active_users_of_this_pool_in_order(table: SimulatedTable) -> None:
    found = users(130)
    table.put(*found)
    deleted, foreign = found[0].sub, found[1].sub
    delete(table.users(), deleted)
    of_other_pool = UserTable(table.client, TABLE, replace(LAYOUT, user_pool_id="eu-central-1_other"))
    table.client.delete_item(TableName=TABLE, Key={"id": {"S": foreign}})
    of_other_pool.write(found[1].seen())
    # The index may be older than the item.
    table.client.update_item(
        TableName=TABLE, Key={"id": {"S": found[2].sub}}, UpdateExpression="SET user_pool_id = :other",
        ExpressionAttributeValues={":other": {"S": "eu-central-1_other"}},
    )  # fmt: skip
    table.client.put_item(TableName=TABLE, Item={"id": {"S": "of the application"}, "shard": {"S": f"{POOL_ID}#o"}})
    active = sorted(user.sub for user in found[3:])
    table.query_size = 7
    assert subs_of(TableSource(table.users()).batches(None)) == active
    assert TableSource(table.users()).count() == len(active) + 1
    (removed,) = set(subs_of(TableSource(table.users(), includes_deleted=True).batches(None))) - set(active)
    assert removed == deleted


def test_table_source_continues_after_each_cursor(table: SimulatedTable) -> None:
    table.put(*users(24))
    table.query_size = 2
    source = TableSource(table.users(), includes_deleted=True)
    for user in users(24)[:5]:
        delete(table.users(), user.sub)
    batches = list(source.batches(None))
    assert len(set(subs_of(iter(batches)))) == len(subs_of(iter(batches))) == 24
    for position, batch in enumerate(batches):
        if batch.cursor is not None:
            stored = json.loads(json.dumps(batch.cursor))
            assert subs_of(source.batches(stored)) == subs_of(iter(batches[position + 1 :]))


def test_table_source_reads_renamed_attributes_of_this_module_only(table: SimulatedTable) -> None:
    """An attribute of the application that has the name of a synced attribute is not exported."""
    layout = ItemLayout(
        POOL_ID, ("email", "nickname"), partition_key=Key("PK", "USER#{sub}"), sort_key=Key("SK", "PROFILE"),
        attribute_prefix="cognito_", attribute_names={"email": "mail"},
    )  # fmt: skip
    table.client.create_table(**table_definition("app", layout))
    written = UserTable(table.client, "app", layout)
    ada = CognitoUser(SUB, "ada", {"email": "ada@example.com"})
    written.write(ada.seen())
    copy = {**layout.key(SUB), "SK": {"S": "ORDER"}, "cognito_shard": {"S": layout.shard(SUB)}}
    deletion = {"cognito_user_pool_id": {"S": POOL_ID}, "cognito_deleted_at": {"S": TOMORROW}}
    table.client.put_item(TableName="app", Item=copy | deletion)
    table.client.update_item(
        TableName="app", Key=layout.key(SUB), UpdateExpression="SET cognito_nickname = :mine",
        ExpressionAttributeValues={":mine": {"S": "of the application"}},
    )  # fmt: skip
    (record,) = [record for batch in TableSource(written, True).batches(None) for record in batch.records]
    assert (record.username, record.attributes) == ("ada", {"email": "ada@example.com"})


@pytest.mark.parametrize("sync_groups", [False, True])
def test_table_source_has_groups_that_are_synced(table: SimulatedTable, sync_groups: bool) -> None:
    groups, none = users(2)
    for user, names in ((groups, {"staff", "admins"}), (none, set[str]())):
        seen = replace(user.seen(), groups=frozenset(names), groups_observed_at=MOMENT)
        UserTable(table.client, TABLE, replace(LAYOUT, sync_groups=True)).write(seen)
    source = TableSource(UserTable(table.client, TABLE, replace(LAYOUT, sync_groups=sync_groups)))
    found = {record.sub: record for batch in source.batches(None) for record in batch.records}
    expected = {groups.sub: ("admins", "staff"), none.sub: ()} if sync_groups else {groups.sub: None, none.sub: None}
    assert {sub: record.groups for sub, record in found.items()} == expected
    assert "groups" not in found[none.sub].fields()


@pytest.mark.parametrize("action", [DeletedUsers.MARK, DeletedUsers.DELETE, DeletedUsers.DELETE_ITEM])
def test_table_source_has_deleted_users_of_each_policy(table: SimulatedTable, action: DeletedUsers) -> None:
    (user,) = users(1)
    table.put(user)
    delete(UserTable(table.client, TABLE, LAYOUT, DeletionPolicy(action)), user.sub)
    (record,) = [each for batch in TableSource(table.users(), True).batches(None) for each in batch.records]
    assert (record.sub, record.deleted_at, record.enabled) == (user.sub, TOMORROW, False)


def test_pool_source_lists_each_user_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = users(200)
    pool = CognitoPool(UsersInMemory(*found))
    pool.page_sizes = (60, 0, 7)
    source = PoolSource(UserPool(cognito_client(pool), POOL_ID), RateLimiter(1e6))
    assert source.estimated_users() == 200
    batches = list(source.batches(None))
    assert sorted(subs_of(iter(batches))) == sorted(user.sub for user in found)
    for position, batch in enumerate(batches):
        if batch.cursor is not None:
            assert subs_of(source.batches(batch.cursor)) == subs_of(iter(batches[position + 1 :]))
    pool.rejects_prefixes = True
    assert sorted(subs_of(source.batches(None))) == sorted(user.sub for user in found)


def test_pool_source_is_listed_again_after_a_rejected_token() -> None:
    pool = CognitoPool(UsersInMemory(*users(40)))
    pool.page_sizes = (1,)
    source = PoolSource(UserPool(cognito_client(pool), POOL_ID), RateLimiter(1e6))
    pool.calls.fail(LIST, error_response("InvalidParameterException"), 3)
    with pytest.raises(user_records.ListAgainError):
        list(source.batches(None))


def test_sources_wait_while_aws_throttles(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    pool = CognitoPool(UsersInMemory(*users(3)))
    pool.calls.answer_next(LIST, error_response("TooManyRequestsException"), error_response("InternalErrorException"))
    source = PoolSource(UserPool(cognito_client(pool), POOL_ID), RateLimiter(1e6))
    assert len(subs_of(source.batches(None))) == 3
    assert len(waits) == 2


def test_sources_fail_after_five_minutes_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds + 1))

    def fail() -> None:
        raise CognitoUnavailableError("TooManyRequestsException")

    with pytest.raises(CognitoUnavailableError):
        user_records.patiently(fail)
    assert 200 < now[0] < 310


# --- exports that end early


class ListSource:
    """Users in batches of three. Only every second batch has a cursor."""

    def __init__(self, records: Sequence[UserRecord], fails_before: int | None = None, error: Any = None) -> None:
        self.records = records
        self.fails_before = fails_before
        self.error = error

    def estimated_users(self) -> int:
        return len(self.records)

    def batches(self, cursor: Cursor | None) -> Iterator[Batch]:
        for number in range(cursor["next"] if cursor else 0, -(-len(self.records) // 3)):
            if number == self.fails_before:
                error, self.error = self.error, None
                if error:
                    raise error
            yield Batch(list(self.records[3 * number : 3 * number + 3]), {"next": number + 1} if number % 2 else None)


# Some are longer than the buffer of a file, so that a killed process leaves a part of a line. An import rejects some.
RECORDS = [
    replace(ADA, sub=f"{number:08x}{SUB[8:]}", username=f"user-{number}", enabled=number % 5 != 4,
            attributes={**ADA.attributes, "name": "n" * (number % 4) * 4000})
    for number in range(40)
]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def export_to(
    folder: Path, source: Any, report: Callable[[Progress], None] = lambda _: None, **settings: Any
) -> Export:
    folder.mkdir(exist_ok=True)
    job = Export(folder / "users.csv", settings, is_limited=True)
    job.run(source, ImportLines(HEADER, BY_EMAIL), report)
    return job


def test_export_continues_after_a_kill_at_any_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL, also while the progress was stored long ago, and with files of at most seven users."""
    monkeypatch.setattr(user_export, "IMPORT_ROWS", 7)
    # A kill does not lose what the operating system has.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    export_to(tmp_path / "whole", ListSource(RECORDS))
    whole = contents(tmp_path / "whole")
    parts = [f"users-{number}.csv" for number in range(2, 6)]
    assert sorted(whole) == [*parts, "users.csv", "users.csv.rejected.csv"]
    lines = [line for name, text in whole.items() if "rejected" not in name for line in text.splitlines()[1:]]
    assert len(lines) == len(set(lines)) == 32
    for store_seconds in (0.0, 3600.0):
        monkeypatch.setattr(user_export, "_STORE_SECONDS", store_seconds)
        for batch in range(1, 15):
            folder = tmp_path / f"killed-{store_seconds}-{batch}"
            killed_at_report(batch, folder)
            assert (folder / "users.csv.progress").exists()
            export_to(folder, ListSource(RECORDS))
            assert contents(folder) == whole, batch


def killed_at_report(number: int, folder: Path) -> None:
    """Export in a process that ends without any clean-up in the report with this number."""
    left = [number]

    def end(_: Progress) -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)

    child = os.fork()
    if child == 0:
        try:
            export_to(folder, ListSource(RECORDS), end)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CognitoRejectedError("ExpiredTokenException"), OSError("full")])
def test_export_continues_after_an_error(tmp_path: Path, error: BaseException) -> None:
    export_to(tmp_path / "whole", ListSource(RECORDS))
    with pytest.raises(type(error)):
        export_to(tmp_path / "stopped", ListSource(RECORDS, 9, error))
    seen: list[int] = []
    job = export_to(tmp_path / "stopped", ListSource(RECORDS), lambda progress: seen.append(progress.done))
    assert (job.is_continued, seen[0]) == (True, 27), "it continues at the last cursor, after 24 users"
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_export_continues_after_a_kill_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last users have no cursor, as those of the last digit of a pool."""
    records = RECORDS[:38]
    export_to(tmp_path / "whole", ListSource(records))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            export_to(tmp_path / "stopped", ListSource(records))
    export_to(tmp_path / "stopped", ListSource(records))
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_export_lists_again_after_a_rejected_token(tmp_path: Path) -> None:
    export_to(tmp_path / "whole", ListSource(RECORDS))
    export_to(tmp_path / "again", ListSource(RECORDS, 9, user_records.ListAgainError("token")))
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")


def test_export_lists_users_that_cognito_returns_incomplete(tmp_path: Path) -> None:
    source = Mock()
    source.batches.return_value = iter([Batch([ADA], None, (UnusableUserError(OTHER_SUB, "UserStatus is missing"),))])
    assert export_to(tmp_path, source).progress.exported == 1
    assert (tmp_path / "users.csv.rejected.csv").read_text() == f"sub,reason\n{OTHER_SUB},UserStatus is missing\n"


def test_export_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    os.umask(os.umask(0))
    modes: set[int] = set()

    def look(_: Progress) -> None:
        modes.update(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())

    export_to(tmp_path, ListSource(RECORDS), look)
    assert modes == {0o600}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_export_replaces_no_file(tmp_path: Path) -> None:
    for name in ("users.csv", "users.csv.rejected.csv"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(DeploymentError, match=f"{name} exists already"):
            export_to(tmp_path, ListSource(RECORDS))
        assert contents(tmp_path) == {name: b"mine"}
        (tmp_path / name).unlink()


def test_export_replaces_no_file_with_a_further_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_export, "IMPORT_ROWS", 7)
    (tmp_path / "users-2.csv").write_text("mine")
    for _ in range(2):
        with pytest.raises(DeploymentError, match="users-2.csv exists already"):
            export_to(tmp_path, ListSource(RECORDS))
        assert (tmp_path / "users-2.csv").read_text() == "mine"
    (tmp_path / "users-2.csv").unlink()
    assert export_to(tmp_path, ListSource(RECORDS)).progress.exported == 32


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "users.csv").write_text(""), "was changed after the export was interrupted"),
        (lambda folder: (folder / "users.csv.progress").write_text("{}"), "is not the progress of an export"),
    ],
)
def test_export_rejects_files_changed_in_between(tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        export_to(tmp_path, ListSource(RECORDS, 9, KeyboardInterrupt()))
    spoil(tmp_path)
    with pytest.raises(DeploymentError, match=message):
        export_to(tmp_path, ListSource(RECORDS))


def test_export_rejects_other_settings_of_an_unfinished_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        export_to(tmp_path, ListSource(RECORDS, 9, KeyboardInterrupt()), table="users")
    with pytest.raises(DeploymentError, match="unfinished export with another table"):
        export_to(tmp_path, ListSource(RECORDS), table="others")


# --- the command

OUTPUTS = outputs()
INDEXED = {"Table": {"GlobalSecondaryIndexes": [{"IndexName": "by_shard", "ItemCount": 3}]}}


def serve_table(aws: FakeAws, *found: CognitoUser, layout: ItemLayout = LAYOUT, **variables: str) -> None:
    """Answer as a table with these users."""
    items = {user.sub: {**layout.key(user.sub), **_marshalled(layout, user)} for user in found}

    def query(body: Any) -> Response:
        prefix = body["ExpressionAttributeValues"][":prefix"]["S"]
        after = body.get("ExclusiveStartKey", {}).get("id", {}).get("S", "")
        subs = [sub for sub in sorted(items) if sub.startswith(prefix) and sub > after]
        return Response({"Items": [layout.key(sub) for sub in subs]})

    def read(body: Any) -> Response:
        keys = body["RequestItems"][TABLE]["Keys"]
        return Response({"Responses": {TABLE: [items[key["id"]["S"]] for key in keys]}, "UnprocessedKeys": {}})

    aws.on("lambda.GetFunctionConfiguration", Response({"Environment": {"Variables": environment(**variables)}}))
    aws.on("dynamodb.DescribeTable", Response(INDEXED))
    aws.answers |= {"dynamodb.Query": query, "dynamodb.BatchGetItem": read}


def _marshalled(layout: ItemLayout, user: CognitoUser) -> dict[str, Any]:
    return {name: marshal(value) for name, value in layout.to_item(user.seen()).items()}


def test_export_writes_the_table(aws: FakeAws, tmp_path: Path) -> None:
    found = users(3)
    serve_table(aws, *found)
    result = invoke(tmp_path, OUTPUTS, "export", "--format", "jsonl", "--output", str(tmp_path / "users.jsonl"))
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "users.jsonl").read_text().splitlines()]
    assert [line["sub"] for line in lines] == sorted(user.sub for user in found)
    assert {line["email"] for line in lines} == {"0@b.c", "1@b.c", "2@b.c"}
    assert f"3 users exported: {tmp_path / 'users.jsonl'}" in result.output
    assert "personal data" in result.output
    assert "@b.c" not in result.output
    assert {call for call in aws.operations if call.startswith("cognito")} == set(), "the pool may not exist any more"


def test_export_does_not_run_twice(aws: FakeAws, tmp_path: Path) -> None:
    serve_table(aws, *users(3))
    with file_lock.locked(tmp_path / "users.csv"):
        result = invoke(tmp_path, OUTPUTS, "export", "--format", "csv", "--output", str(tmp_path / "users.csv"))
    assert result.exit_code == 2
    assert f"another command writes {tmp_path / 'users.csv'}" in result.output
    assert list(tmp_path.iterdir()) == [tmp_path / "outputs.json"]


def test_locked_raises_without_locks_of_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))
    with pytest.raises(DeploymentError, match="cannot be locked .No locks available.: use another file system"):
        file_lock.locked(tmp_path / "users.csv").__enter__()


def test_export_names_what_to_do_after_expired_credentials(aws: FakeAws, tmp_path: Path) -> None:
    found = users(30)
    serve_table(aws, *found)
    query = aws.answers["dynamodb.Query"]
    command = ("export", "--format", "csv", "--output", str(tmp_path / "users.csv"))

    def expires(body: Any) -> Any:
        prefix = body["ExpressionAttributeValues"][":prefix"]["S"]
        return query(body) if prefix < "8" else error_response("ExpiredTokenException", message="expired")

    aws.answers["dynamodb.Query"] = expires
    result = invoke(tmp_path, OUTPUTS, *command)
    assert result.exit_code == 2
    assert "To continue it, run the same command again." in result.output
    assert "Log in again" in result.output
    aws.answers["dynamodb.Query"] = query
    result = invoke(tmp_path, OUTPUTS, *command)
    assert result.exit_code == 0, result.output
    assert "Continues the export after" in result.output
    rows = list(csv.DictReader(io.StringIO((tmp_path / "users.csv").read_text())))
    assert [row["sub"] for row in rows] == sorted(user.sub for user in found)


def test_export_exits_130_when_interrupted(aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    serve_table(aws, *users(3))
    monkeypatch.setattr(Export, "run", interrupt)
    result = invoke(tmp_path, OUTPUTS, "export", "--format", "csv", "--output", str(tmp_path / "users.csv"))
    assert result.exit_code == 130
    assert "run the same command again" in result.output


def test_export_prints_a_line_every_ten_seconds(aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cognito_user_sync_cli.progress_bar._LINE_SECONDS", 0)
    serve_table(aws, *users(3))
    result = invoke(tmp_path, OUTPUTS, "export", "--format", "jsonl", "--output", str(tmp_path / "users.jsonl"))
    assert "3 of about 3 users exported" in result.output


def serve_target(aws: FakeAws, pool_id: str, **settings: Any) -> None:
    aws.on(f"{COGNITO}.DescribeUserPool", Response({"UserPool": {"Id": pool_id, **settings}}))
    aws.on(f"{COGNITO}.GetCSVHeader", Response({"UserPoolId": pool_id, "CSVHeader": list(HEADER)}))


def test_export_for_an_import_lists_rejected_users(aws: FakeAws, tmp_path: Path) -> None:
    layout = replace(LAYOUT, attributes=("email", "email_verified"))
    good, bad = users(2)
    good.attributes |= {"email_verified": "true"}
    serve_table(aws, good, bad, layout=layout, ATTRIBUTES='["email","email_verified"]')
    serve_target(aws, "eu-west-1_Target", AutoVerifiedAttributes=["email"])
    result = invoke(
        tmp_path, OUTPUTS, "export", "--format", "cognito-import", "--pool", "eu-west-1_Target",
        "--output", str(tmp_path / "users.csv"),
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    assert (tmp_path / "users.csv").read_text().splitlines()[1:] == [f",0@b.c,true,false,,false,{good.username}"]
    assert (tmp_path / "users.csv.rejected.csv").read_text() == f"sub,reason\n{bad.sub},no verified email\n"
    assert "1 user not exported" in result.output
    assert "1: no verified email" in result.output


def test_export_of_the_pool_has_all_attributes_of_its_schema(aws: FakeAws, tmp_path: Path) -> None:
    found = [CognitoUser(SUB, "ada", {"email": "ada@example.com", "custom:plan": "gold"}, status="UNCONFIRMED")]
    schema = {"SchemaAttributes": [{"Name": name} for name in ("sub", "email", "custom:plan", "name")]}
    aws.serve(CognitoPool(UsersInMemory(*found), settings=schema))
    result = invoke(
        tmp_path, OUTPUTS, "export", "--format", "csv", "--from", "pool", "--output", str(tmp_path / "users.csv")
    )
    assert result.exit_code == 0, result.output
    (row,) = csv.DictReader(io.StringIO((tmp_path / "users.csv").read_text()))
    assert (row["sub"], row["status"], row["custom:plan"], row["name"]) == (SUB, "UNCONFIRMED", "gold", "")


def test_export_reports_that_aws_does_not_respond(
    aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setattr(user_records, "_PATIENCE_SECONDS", 0)
    serve_table(aws, *users(3))
    aws.on("dynamodb.Query", EndpointConnectionError(endpoint_url="https://dynamodb"))
    result = invoke(tmp_path, OUTPUTS, "export", "--format", "csv", "--output", str(tmp_path / "users.csv"))
    assert result.exit_code == 2
    assert "See https://health.aws.amazon.com/health/status" in result.output
