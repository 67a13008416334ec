"""The command `restore`: users in another pool, restores that end early and continue, and what it says before."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws
from typer.testing import Result

from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.user import SUB as SUB_PATTERN
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync_cli import file_lock, restoration, user_records
from cognito_user_sync_cli.deployment import DeploymentError
from cognito_user_sync_cli.export_formats import JsonLines
from cognito_user_sync_cli.restoration import Options, Outcome, Restoration, check_target
from cognito_user_sync_cli.restore_map import RestoreMap, State
from cognito_user_sync_cli.target_pool import TargetPool
from cognito_user_sync_cli.user_records import FileSource, UserRecord
from tests.fakes.answers import error_response, result
from tests.fakes.calls import ProcessKilled
from tests.fakes.command_line import invoke
from tests.samples import OTHER_SUB, POOL_ID, SUB, outputs

ADA = UserRecord(
    SUB, "ada", "CONFIRMED", True, {"email": "ada@example.com", "email_verified": "true", "custom:plan": "gold"}
)
BOB = UserRecord(OTHER_SUB, "bob", "CONFIRMED", False, {"email": "bob@example.com"}, groups=("admins", "staff"))
EVE = replace(ADA, sub=f"c{SUB[1:]}", username="eve", attributes={"email": "eve@example.com"}, groups=("staff",))
RECORDS = [ADA, BOB, EVE]


class Client:
    """A client of moto, which can end or fail each call that changes the pool."""

    WRITES = (
        "admin_create_user",
        "create_group",
        "admin_add_user_to_group",
        "admin_disable_user",
        "admin_set_user_password",
    )

    def __init__(self, client: Any) -> None:
        self.client = client
        self.exceptions = client.exceptions
        self.writes: list[str] = []
        self.fail: Callable[[int, str, Callable[[], Any]], Any] = lambda number, name, call: call()

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.client, name)
        if name not in self.WRITES:
            return operation

        def call(**arguments: Any) -> Any:
            self.writes.append(name)
            # AWS takes the sub of a local user as a username, moto does not.
            if "Username" in arguments and SUB_PATTERN.fullmatch(arguments["Username"]):
                listed = self.client.list_users(
                    UserPoolId=arguments["UserPoolId"], Filter=f'sub = "{arguments["Username"]}"'
                )
                arguments["Username"] = listed["Users"][0]["Username"]
            return self.fail(len(self.writes), name, lambda: operation(**arguments))

        return call


@dataclass
class Target:
    """A pool that gets users, and the files of the restore."""

    client: Client
    pool_id: str
    folder: Path
    options: Options = field(default_factory=Options)

    def job(self, dry_run: bool = False) -> Restoration:
        pool = TargetPool.of(self.client.describe_user_pool(UserPoolId=self.pool_id)["UserPool"])
        restore_map = RestoreMap(self.folder / "map.csv", self.pool_id)
        client: Any = self.client
        return Restoration(client, pool, restore_map, self.options, 1e6, dry_run)

    def restore(self, *records: UserRecord, dry_run: bool = False) -> dict[str, tuple[Outcome, str]]:
        """Return the outcome and the reason of each user, by old sub."""
        found: dict[str, tuple[Outcome, str]] = {}
        self.job(dry_run).run(records, lambda record, *outcome: found.__setitem__(record.sub, outcome))
        return found

    def users(self) -> dict[str, Any]:
        """Return the users of the pool by username."""
        cognito = self.client.client
        found = {}
        for user in cognito.list_users(UserPoolId=self.pool_id)["Users"]:
            attributes = {each["Name"]: each["Value"] for each in user["Attributes"]}
            groups = cognito.admin_list_groups_for_user(UserPoolId=self.pool_id, Username=user["Username"])["Groups"]
            found[user["Username"]] = {
                "sub": attributes.pop("sub"),
                "attributes": attributes,
                "enabled": user["Enabled"],
                "status": user["UserStatus"],
                "groups": sorted(each["GroupName"] for each in groups),
            }
        return found

    def mapped(self) -> dict[str, str]:
        """Return the new subs of restored users by old sub."""
        with (self.folder / "map.csv").open(newline="") as file:
            return {row["old_sub"]: row["new_sub"] for row in csv.DictReader(file) if row["state"] == "restored"}


@pytest.fixture(scope="module")
def cognito(session: boto3.Session) -> Iterator[Any]:
    # Without the key of tokens, which takes 0.1 s for each pool.
    with mock_aws(), patch("moto.cognitoidp.models.jwk.RSAKey.import_key"):
        yield session.client("cognito-idp")


@pytest.fixture
def target(cognito: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    # In a fixed order.
    monkeypatch.setattr(restoration, "_THREADS", 1)
    return make_target(cognito, tmp_path)


def make_target(cognito: Any, folder: Path, **settings: Any) -> Target:
    # AWS adds the standard attributes, moto does not.
    texts, flags = ("email", "name", "phone_number", "plan"), ("email_verified", "phone_number_verified")
    schema = [
        {"Name": name, "AttributeDataType": "String" if name in texts else "Boolean", "Mutable": True}
        for name in (*texts, *flags)
    ]
    pool = cognito.create_user_pool(PoolName="target", **{"Schema": schema, **settings})["UserPool"]["Id"]
    return Target(Client(cognito), pool, folder)


def assert_restored(target: Target) -> None:
    users = target.users()
    assert {name: (user["enabled"], user["status"], user["groups"]) for name, user in users.items()} == {
        "ada": (True, "FORCE_CHANGE_PASSWORD", []),
        "bob": (False, "FORCE_CHANGE_PASSWORD", ["admins", "staff"]),
        "eve": (True, "FORCE_CHANGE_PASSWORD", ["staff"]),
    }
    assert users["ada"]["attributes"] == ADA.attributes
    assert target.mapped() == {record.sub: users[record.username]["sub"] for record in RECORDS}
    assert not set(target.mapped()) & set(target.mapped().values())


def test_restore_creates_users_groups_and_the_map(target: Target) -> None:
    outcomes = target.restore(*RECORDS)
    assert set(outcomes.values()) == {(Outcome.RESTORED, "")}
    assert_restored(target)
    assert (target.folder / "map.csv").stat().st_mode & 0o777 == 0o600
    target.client.writes.clear()
    assert set(target.restore(*RECORDS).values()) == {(Outcome.DONE_BEFORE, "")}
    assert target.client.writes == []


def recorded(target: Target, monkeypatch: pytest.MonkeyPatch, name: str, *records: UserRecord) -> list[Any]:
    """Restore users, and return the arguments of the calls of one operation."""
    calls: list[Any] = []
    operation = getattr(target.client.client, name)

    def record(**arguments: Any) -> Any:
        calls.append(arguments)
        return operation(**arguments)

    monkeypatch.setattr(target.client.client, name, record)
    target.restore(*records)
    return calls


def test_restore_sends_no_message(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    (call,) = recorded(target, monkeypatch, "admin_create_user", ADA)
    assert call["MessageAction"] == "SUPPRESS"
    assert "TemporaryPassword" not in call


# Before a call, the one before it is recorded. After it took effect, it is not.
@pytest.mark.parametrize(("takes_effect", "calls"), [(False, (2, 6, 9)), (True, range(1, 10))], ids=["before", "after"])
def test_restore_continues_after_a_kill_at_any_call(target: Target, takes_effect: bool, calls: Sequence[int]) -> None:
    """Also with a part of a line at the end of the map."""
    target.restore(*RECORDS)
    assert len(target.client.writes) == 9
    for killed_at in calls:
        folder = target.folder / f"{takes_effect}-{killed_at}"
        folder.mkdir()
        again = make_target(target.client.client, folder)

        def kill(number: int, name: str, call: Callable[[], Any], last: int = killed_at) -> Any:
            if number < last:
                return call()
            if number == last and takes_effect:
                call()
            raise ProcessKilled

        again.client.fail = kill
        with pytest.raises(ProcessKilled):
            again.restore(*RECORDS)
        with (folder / "map.csv").open("a") as file:
            file.write((folder / "map.csv").read_text()[-50:-10] if killed_at > 3 else "")
        again.client.fail = lambda number, name, call: call()
        outcomes = again.restore(*RECORDS)
        assert {outcome for outcome, _ in outcomes.values()} <= {Outcome.RESTORED, Outcome.ADOPTED, Outcome.DONE_BEFORE}
        assert_restored(again)


def test_restore_continues_after_a_kill_before_the_map(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise ProcessKilled

    with monkeypatch.context() as patch:
        patch.setattr(RestoreMap, "add", killed)
        with pytest.raises(ProcessKilled):
            target.restore(ADA)
    assert not (target.folder / "map.csv").exists()
    assert target.restore(ADA) == {SUB: (Outcome.ADOPTED, "")}
    assert target.mapped() == {SUB: target.users()["ada"]["sub"]}


def create(target: Target, username: str, password: str | None = None, **attributes: str) -> None:
    cognito, pool = target.client.client, {"UserPoolId": target.pool_id}
    given = [{"Name": name.replace("__", ":"), "Value": value} for name, value in attributes.items()]
    cognito.admin_create_user(**pool, Username=username, UserAttributes=given)
    if password:
        cognito.admin_set_user_password(**pool, Username=username, Password=password, Permanent=True)


@pytest.mark.parametrize(
    ("password", "changed", "differing"),
    [
        (None, {"email": "eve@example.com"}, "email"),
        (None, {"custom__plan": "free"}, "custom:plan"),
        (None, {"email_verified": "false"}, "email_verified"),
        (None, {"name": "Ada"}, "name"),
        ("Correct-horse-1", {}, "status CONFIRMED"),
    ],
)
def test_restore_does_not_adopt_another_user(
    target: Target, password: str | None, changed: Mapping[str, str], differing: str
) -> None:
    """Such as one who signed up with this name and address, and would become the owner of the old user's data."""
    attributes = {name.replace(":", "__"): value for name, value in ADA.attributes.items()}
    create(target, "ada", password, **{**attributes, **changed})
    before = target.users()["ada"]
    outcomes = target.restore(ADA, EVE)
    assert outcomes[SUB] == (
        Outcome.PROBLEM,
        f"a user with this username exists, with another {differing}",
    )
    assert outcomes[EVE.sub] == (Outcome.RESTORED, "")
    assert target.users()["ada"] == before
    assert SUB not in target.mapped()


def test_restore_does_not_change_a_user_of_the_same_pool(target: Target) -> None:
    """A file may be restored into the pool that it is from."""
    target.options = Options(sets_passwords=True)
    create(target, "ada", email="ada@example.com")
    before = target.users()
    user = replace(ADA, sub=before["ada"]["sub"], attributes={"email": "ada@example.com"})
    assert target.restore(user) == {user.sub: (Outcome.PROBLEM, "the pool has this user already")}
    assert target.users() == before


def test_restore_finds_a_user_whom_the_list_does_not_show_yet(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    attributes = {name.replace(":", "__"): value for name, value in ADA.attributes.items()}
    create(target, "ada", **attributes)
    monkeypatch.setattr(target.client.client, "list_users", lambda **_: {"Users": []})
    assert target.restore(ADA) == {SUB: (Outcome.ADOPTED, "")}


def answering(code: str, message: str = "of the test") -> Callable[[int, str, Callable[[], Any]], Any]:
    """Return a `fail` that answers the first call with an error."""

    def fail(number: int, name: str, call: Callable[[], Any]) -> Any:
        return call() if number > 1 else result(error_response(code, message=message), name)

    return fail


@pytest.mark.parametrize("code", ["InvalidParameterException", "UserLambdaValidationException", "AliasExistsException"])
def test_restore_continues_with_other_users_after_a_problem(target: Target, code: str) -> None:
    target.client.fail = answering(code)
    outcomes = target.restore(*RECORDS)
    assert outcomes[SUB] == (Outcome.PROBLEM, f"{code}: of the test")
    assert {outcomes[each.sub] for each in (BOB, EVE)} == {(Outcome.RESTORED, "")}
    target.restore(*RECORDS)
    assert_restored(target)


def test_restore_retries_a_throttled_call(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cognito_user_sync_cli.user_records.time.sleep", lambda _: None)
    target.client.fail = answering("TooManyRequestsException")
    assert set(target.restore(*RECORDS).values()) == {(Outcome.RESTORED, "")}
    assert target.client.writes[:2] == ["admin_create_user"] * 2
    assert_restored(target)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ExpiredTokenException", CognitoRejectedError),
        ("AccessDeniedException", AccessDeniedError),
        ("ResourceNotFoundException", CognitoRejectedError),
    ],
)
def test_restore_ends_after_an_error_of_all_users(target: Target, code: str, error: type[Exception]) -> None:
    target.client.fail = answering(code)
    with pytest.raises(error):
        target.restore(*RECORDS)
    target.restore(*RECORDS)
    assert_restored(target)


def test_restore_skips_federated_and_deleted_users(target: Target) -> None:
    federated, deleted = replace(ADA, status="EXTERNAL_PROVIDER"), replace(BOB, deleted_at="2026-01-01")
    outcomes = target.restore(federated, deleted)
    assert outcomes == {SUB: (Outcome.FEDERATED, ""), OTHER_SUB: (Outcome.DELETED, "")}
    assert target.client.writes == []


def test_restore_creates_usernames_that_the_pool_accepts(cognito: Any, tmp_path: Path) -> None:
    target = make_target(cognito, tmp_path, UsernameAttributes=["email"])
    nameless = replace(EVE, attributes={})
    outcomes = target.restore(ADA, nameless)
    assert outcomes[SUB] == (Outcome.RESTORED, "")
    assert outcomes[EVE.sub][1] == "users of the pool sign in by email: the user has none"
    (user,) = target.users().values()
    assert user["attributes"]["email"] == "ada@example.com"
    (tmp_path / "map.csv").unlink()
    assert target.restore(ADA) == {SUB: (Outcome.ADOPTED, "")}


@pytest.mark.parametrize("threads", [1, 4])
def test_restore_merges_no_two_users(
    cognito: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Two users with the same address, which is the username in the new pool."""
    monkeypatch.setattr(restoration, "_THREADS", threads)
    target = make_target(cognito, tmp_path, UsernameAttributes=["email"])
    others = [replace(ADA, sub=f"{number:08x}{SUB[8:]}", username=f"ada-{number}") for number in range(4)]
    for records in ([ADA, *others], [*others, ADA]):
        outcomes = target.restore(*records)
        assert len(target.mapped()) == len(target.users()) == 1
        (restored,) = target.mapped()
        problems = {reason for sub, (_, reason) in outcomes.items() if sub != restored}
        assert problems == {"another user was restored with this username"}


def test_restore_continues_after_a_user_without_a_username(target: Target) -> None:
    """Such as one of an item from before a change of table.attribute_names."""
    outcomes = target.restore(replace(ADA, username=""), EVE)
    assert outcomes == {SUB: (Outcome.PROBLEM, "the user has no username"), EVE.sub: (Outcome.RESTORED, "")}


def test_restore_leaves_out_attributes_that_cognito_rejects(target: Target) -> None:
    target.options = Options(skipped=("custom:plan",))
    given = {"email_verified": "true", "phone_number_verified": "true", "name": "Ada", "custom:plan": "gold"}
    target.restore(replace(ADA, attributes={**given, "identities": "[]", "sub": SUB}))
    assert target.users()["ada"]["attributes"] == {"name": "Ada"}


def test_restore_verifies_addresses_only_on_request(target: Target) -> None:
    target.restore(EVE)
    assert "email_verified" not in target.users()["eve"]["attributes"]
    target.options = Options(assumed=("email",))
    target.restore(BOB)
    assert target.users()["bob"]["attributes"] == {"email": "bob@example.com", "email_verified": "true"}


def test_assume_verified_does_not_verify_an_address_that_is_known_not_to_be(target: Target) -> None:
    """The file has email_verified of ADA. The others have no verified address."""
    result = run(target, "--yes", "--assume-verified")
    assert result.exit_code == 0, result.output
    assert "email_verified" not in target.users()["eve"]["attributes"]


def test_restore_stops_soon_when_aws_does_not_respond(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait five minutes for each user of the batch."""
    monkeypatch.setattr(user_records, "_PATIENCE_SECONDS", 0)
    target.client.fail = lambda number, name, call: result(error_response("InternalErrorException", 500), name)
    records = [replace(ADA, sub=f"{number:08x}{SUB[8:]}", username=f"user-{number}") for number in range(20)]
    with pytest.raises(CognitoUnavailableError):
        target.restore(*records)
    assert len(target.client.writes) <= 3


def test_restore_sets_random_passwords_on_request(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    target.options = Options(sets_passwords=True)
    passwords = [call["Password"] for call in recorded(target, monkeypatch, "admin_set_user_password", *RECORDS)]
    assert {user["status"] for user in target.users().values()} == {"CONFIRMED"}
    assert len(set(passwords)) == 3
    assert set(map(len, passwords)) == {98}
    assert not any(password in (target.folder / "map.csv").read_text() for password in passwords)


def test_restore_sets_passwords_later_with_another_map(target: Target) -> None:
    target.restore(*RECORDS)
    subs = target.mapped()
    target.options = Options(sets_passwords=True)
    assert set(target.restore(*RECORDS).values()) == {(Outcome.DONE_BEFORE, "")}
    (target.folder / "map.csv").unlink()
    assert set(target.restore(*RECORDS).values()) == {(Outcome.ADOPTED, "")}
    assert {user["status"] for user in target.users().values()} == {"CONFIRMED"}
    assert target.mapped() == subs


def test_dry_run_makes_no_write(target: Target) -> None:
    job = target.job(dry_run=True)
    job.run([*RECORDS, replace(ADA, sub=f"d{SUB[1:]}", status="UNCONFIRMED")], lambda *_: None)
    assert target.client.writes == []
    assert list(target.folder.iterdir()) == []
    assert (job.counts.disabled, job.counts.memberships, job.counts.new_groups) == (1, 3, {"admins", "staff"})
    assert job.counts.problems == {"the sign-up is not confirmed": 1}


# --- the map


def test_map_rejects_lines_of_another_file(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    RestoreMap(path, POOL_ID).add(SUB, OTHER_SUB, State.RESTORED)
    with pytest.raises(DeploymentError, match="line 2 of .* is not of a restore into eu-central-1_other"):
        RestoreMap(path, "eu-central-1_other")
    for text in ("my notes", "my notes\n", "old_sub,new_sub\n"):
        path.write_text(text)
        with pytest.raises(DeploymentError, match="line 1 of"):
            RestoreMap(path, POOL_ID)


def test_map_continues_after_a_part_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    RestoreMap(path, POOL_ID).add(SUB, OTHER_SUB, State.CREATED)
    whole = path.read_bytes()
    for end in range(1, len(whole) + 1):
        path.write_bytes(whole[:end])
        RestoreMap(path, POOL_ID).add(SUB, OTHER_SUB, State.RESTORED)
        read = RestoreMap(path, POOL_ID)
        assert read.is_restored(SUB)
        assert len(path.read_text().splitlines()) == (3 if end == len(whole) else 2)


# --- the target


def test_check_target_names_what_the_schema_lacks() -> None:
    pool = TargetPool("eu-west-1_Target", {"email": {}, "name": {"Required": True}})
    check_target(pool, ["email", "name", "custom:plan"], ["custom:plan"])
    with pytest.raises(DeploymentError, match="has no custom:plan: add each .*Name=plan,AttributeDataType=String"):
        check_target(pool, ["email", "name", "custom:plan"], [])
    with pytest.raises(DeploymentError, match="have no attribute custom:plna: .* must be one of email, name"):
        check_target(pool, ["email", "name"], ["custom:plna"])
    with pytest.raises(DeploymentError, match="requires name, which the users to restore do not have"):
        check_target(pool, ["email"], [])


# --- a file


def test_file_source_has_what_export_wrote(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_bytes(b"".join(map(JsonLines().line, RECORDS)))
    assert list(FileSource(path).records()) == RECORDS


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"sub": "x", "enabled": true}', f'{{"sub": "{SUB}"}}', "{", "\xff"])
def test_file_source_rejects_other_lines(tmp_path: Path, line: str) -> None:
    path = tmp_path / "users.jsonl"
    path.write_bytes(JsonLines().line(ADA) + line.encode("latin-1") + b"\n")
    with pytest.raises(DeploymentError, match="line 2 of .*users.jsonl is no user"):
        list(FileSource(path).records())


# --- the command


def run(
    target: Target, *arguments: str, given: str | None = None, records: Sequence[UserRecord] = tuple(RECORDS)
) -> Result:
    users = target.folder / "users.jsonl"
    users.write_bytes(b"".join(map(JsonLines().line, records)))
    command = ("restore", "--into", target.pool_id, "--users", str(users), "--map", str(target.folder / "map.csv"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cognito_user_sync_cli.commands.restore.cognito_of", lambda _: target.client)
        if given == "y":
            patch.setattr("typer.confirm", lambda *_, **__: True)
        return invoke(target.folder, outputs(), *command, "--rate", "50", *arguments)


def test_restore_says_first_what_is_not_restored(target: Target) -> None:
    result = run(target, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "3 users of" in result.output
    assert "Not restored: passwords, MFA" in result.output
    assert "FORCE_CHANGE_PASSWORD" in result.output
    assert "3 users would be restored." in result.output
    assert "2 groups created: admins, staff" in result.output
    assert "A dry run: nothing was changed." in result.output
    assert target.client.client.list_users(UserPoolId=target.pool_id)["Users"] == []
    assert "@example.com" not in result.output
    assert "Missing groups are created" in result.output
    assert "Groups are not restored" in run(target, "--dry-run", records=[ADA]).output


def test_restore_asks_before_it_writes(target: Target) -> None:
    result = run(target)
    assert result.exit_code == 1
    assert f"Create these users in {target.pool_id}?" in result.output
    assert target.users() == {}
    result = run(target, given="y")
    assert result.exit_code == 0, result.output
    assert_restored(target)
    assert "3 users restored." in result.output
    result = run(target, "--yes")
    assert result.exit_code == 0
    assert "3 users restored before" in result.output


def test_restore_does_not_run_twice_with_one_map(target: Target) -> None:
    """Each would cut off what the other one has added to the map."""
    with file_lock.locked(target.folder / "map.csv"):
        result = run(target, "--yes")
        assert run(target, "--dry-run").exit_code == 0
    assert result.exit_code == 2
    assert "another command writes" in result.output
    assert target.users() == {}


def test_restore_lists_problems_in_a_file(target: Target) -> None:
    create(target, "ada", email="mallory@example.com")
    result = run(target, "--yes")
    assert result.exit_code == 1, result.output
    problems = target.folder / "map.csv.problems.csv"
    assert problems.stat().st_mode & 0o777 == 0o600
    (row,) = csv.DictReader(problems.open(newline=""))
    assert row["old_sub"] == SUB
    assert "1 user not restored" in result.output
    assert "with another custom:plan, email, email_verified" in result.output


def test_restore_names_triggers_that_run(cognito: Any, tmp_path: Path) -> None:
    functions = {
        name: f"arn:aws:lambda:eu-central-1:111122223333:function:{name}" for name in ("PreSignUp", "PostConfirmation")
    }
    target = make_target(cognito, tmp_path, LambdaConfig=functions)
    result = run(target, "--dry-run")
    assert (
        f"The pre-sign-up trigger of the pool runs for each user, and can reject users: {functions['PreSignUp']}"
        in (result.output)
    )
    assert "The post-confirmation trigger of the pool does not run" in result.output


def test_restore_exits_130_when_interrupted(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Restoration, "run", interrupt)
    result = run(target, "--yes")
    assert result.exit_code == 130
    assert "run the same command again" in result.output


def test_restore_rejects_an_unfinished_export(target: Target) -> None:
    (target.folder / "users.jsonl.progress").write_text(json.dumps({}))
    assert "is an unfinished export" in run(target, "--dry-run").output
