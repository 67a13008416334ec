"""The commands of an operator, on the deployment of examples/complete, healthy and with problems."""

from __future__ import annotations

import base64
import copy
import csv
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from cognito_user_sync_cli import reconciliation
from cognito_user_sync_cli.app import app as command_line
from local_aws.client import LocalAws
from tests import javascript
from tests.deployed import (
    PASSWORD,
    ROOT,
    Deployment,
    Operator,
    Pool,
    Terraform,
    assert_no_personal_data,
    eventually,
    make_pool,
    make_users,
)
from tests.incidents.operating import (
    EXAMPLE,
    PREFIX,
    facts,
    policy_on,
    remove_trigger,
    section,
    status,
    without_state,
)
from tests.page_code import TYPED_SAMPLE, Code, blocks, in_javascript, in_python

# --- after a failed apply


def test_status_works_after_a_first_apply_that_failed(aws: LocalAws, initialized: Terraform, pool: Pool) -> None:
    aws.set_faults([{"operation": "lambda:CreateFunction", "fault": "access_denied"}])
    initialized("apply", "-auto-approve", variables={"user_pool_id": pool.id}, expect=1)
    aws.clear_faults()
    found = json.loads(without_state("status", "--json", expect=1))
    assert found["not_checked"] == []
    assert f"the function {PREFIX}-sync-user does not exist: apply again" in found["problems"]
    assert f"the state machine {_machine('user-sync')} does not exist: apply again" in found["problems"]
    assert "the pool's post-confirmation trigger is none, not this module's" in found["problems"][0]


def _machine(name: str) -> str:
    return f"arn:aws:states:us-east-1:000000000000:stateMachine:{PREFIX}-{name}"


# --- status


def test_status_is_healthy_after_apply(deployed: Deployment, operator: Operator, ada: str, pool: Pool) -> None:
    found = status(operator, healthy=True)
    assert section(found, "user_pool")["trigger"] == deployed.outputs["post_confirmation_function_arn"]
    assert section(found, "user_pool")["users"] >= 1
    assert section(found, "user_table")["users"] >= 1
    assert section(found, "reconciliation")["last_run"]["status"] == "SUCCEEDED"
    assert section(found, "retry") == section(found, "changes") == {"waiting": 0, "in_dead_letter_queue": 0}
    assert section(found, "executions")["failed_in_14_days"] == 0
    assert section(found, "schedule")["expression"] == "rate(12 hours)"
    assert section(found, "functions")["missing"] == section(found, "alarms")["in_alarm"] == []
    assert (found["problems"], found["not_checked"]) == ([], [])
    output = facts(operator("status"))
    assert "attached: " in output
    assert "reconciliation last run: SUCCEEDED, started " in output
    assert output.endswith("The deployment is healthy. To check one user: cognito-user-sync user USER")
    assert "@example.com" not in output


def test_command_names_its_deployment(operator: Operator) -> None:
    result = operator.run("failures")
    assert result.stderr.startswith(f"{PREFIX} in account 000000000000, us-east-1\n")
    assert PREFIX not in result.stdout


def test_status_reports_removed_trigger_until_reconciliation(operator: Operator, pool: Pool) -> None:
    remove_trigger(pool)
    found = status(operator, healthy=False)
    assert section(found, "user_pool")["is_attached"] is False
    assert "post-confirmation trigger is none, not this module's" in found["problems"][0]
    assert "trigger not attached: none, " in facts(operator("status", expect=1))
    # A dry run does not attach it.
    operator("reconcile", "--dry-run")
    assert section(status(operator, healthy=False), "user_pool")["is_attached"] is False
    assert "cognito-user-sync welcome --since" in operator("reconcile", expect=1)
    assert section(status(operator, healthy=False), "user_pool")["is_attached"] is True
    # The next run finds it attached.
    operator("reconcile")
    assert section(status(operator, healthy=True), "user_pool")["is_attached"] is True


def test_status_names_alarms(aws: LocalAws, operator: Operator) -> None:
    alarm = f"{PREFIX}-trigger-errors"
    alarms = aws.client("cloudwatch")
    # An alarm of another deployment.
    alarms.put_metric_alarm(
        AlarmName=f"{PREFIX}-elsewhere", Namespace="A", MetricName="B", ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1, Period=60, Statistic="Sum", Threshold=0,
    )  # fmt: skip
    for name in (alarm, f"{PREFIX}-elsewhere"):
        alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    try:
        found = status(operator, healthy=False)
        assert section(found, "alarms")["in_alarm"] == [alarm]
        assert found["problems"] == [f"alarm {alarm}: its description has the next steps"]
    finally:
        alarms.delete_alarms(AlarmNames=[f"{PREFIX}-elsewhere"])
        alarms.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="the test is over")


def test_failed_execution_is_reported_with_state_and_error(
    aws: LocalAws, deployed: Deployment, operator: Operator, pool: Pool, username: str
) -> None:
    sub = pool.sign_up(username, email=f"{username}@example.com")
    aws.set_faults([{"operation": "dynamodb:UpdateItem", "fault": "access_denied"}])
    pool.confirm(username)
    assert deployed.settled(sub)[0]["status"] == "FAILED"
    aws.clear_faults()
    assert "1 execution failed in 24 hours: cognito-user-sync failures" in status(operator, healthy=False)["problems"]
    narrow = Operator(operator.outputs, columns=80)("failures")
    assert "1 execution: AccessDeniedError in SyncUser: " in narrow
    assert f"  sign-up-{sub}  ended " in narrow, "the name of the execution is not wrapped"
    user = facts(operator("user", username, expect=1))
    assert "FAILED AccessDeniedError in SyncUser not sent: the execution failed" in user
    assert f"Missing in the table. To sync now: cognito-user-sync user {sub} --sync" in user
    assert operator("failures", "redrive") == "1 redriven.\n1 succeeded, welcome email sent.\n"
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert "No execution has failed in 14 days." in operator("failures")
    status(operator, healthy=True)


def test_status_shows_the_rest_when_step_functions_fails(
    aws: LocalAws, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    aws.set_faults([{"operation": "states:*", "fault": "500"}])
    found = json.loads(operator("status", "--json", expect=2))
    assert {why.partition(":")[0] for why in found["not_checked"]} == {"executions", "reconciliation"}
    assert all("See https://health.aws.amazon.com/health/status" in why for why in found["not_checked"])
    assert section(found, "user_pool")["is_attached"] is True
    assert found["problems"] == []


# --- pause and resume


def plan(terraform: Terraform, pool: Pool) -> str:
    return terraform("plan", "-detailed-exitcode", variables={"user_pool_id": pool.id}, expect=2).stdout


def shown_as_paused(aws: LocalAws, deployed: Deployment) -> str:
    """Return the paused parts in the first line of the dashboard."""
    name = deployed.outputs["dashboard_url"].rpartition("/")[2]
    body = json.loads(aws.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    first_line = str(body["widgets"][0]["properties"]["markdown"]).partition("\n")[0]
    return "".join(re.findall(r"PAUSED: ([^*]*)", first_line))


def test_pause_lasts_until_apply(
    aws: LocalAws, deployed: Deployment, operator: Operator, terraform: Terraform, pool: Pool, username: str
) -> None:
    parts = ["welcomes", "changes", "reconciliation", "trigger"]
    for part in parts * 2:
        assert f"{part} paused: " in operator("pause", part)
    found = status(operator, healthy=False)
    assert section(found, "paused")["parts"] == parts
    assert shown_as_paused(aws, deployed) == ", ".join(parts)
    assert pool.configuration()["pool"].get("LambdaConfig", {}) == {}
    # The reconciliation attaches a lost trigger, but not a paused one.
    operator("reconcile")
    assert pool.configuration()["pool"].get("LambdaConfig", {}) == {}
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.confirm(username)
    assert deployed.executions(sub) == []

    planned = plan(terraform, pool)
    for change in (
        "~ reserved_concurrent_executions = 0 -> -1",
        "~ enabled = false -> true",
        '~ state = "DISABLED" -> "ENABLED"',
        '- "TRIGGER_PAUSED_SINCE"',
        "PAUSED: welcomes, changes, reconciliation, trigger",
    ):
        assert change in planned
    assert "Plan: 0 to add, 5 to change, 0 to destroy." in planned
    terraform("apply", "-auto-approve", variables={"user_pool_id": pool.id})
    found = status(operator, healthy=False)
    assert section(found, "paused")["parts"] == []
    assert section(found, "user_pool")["is_attached"] is False
    assert shown_as_paused(aws, deployed) == ""
    assert "trigger of user pool" in operator("reconcile", expect=1)
    assert deployed.item(sub)
    operator("reconcile")
    status(operator, healthy=True)
    (since,) = re.findall(r'"TRIGGER_PAUSED_SINCE" = "(\S+)"', planned)
    assert "1 succeeded, welcome email sent." in operator("welcome", "--since", since)
    assert len(deployed.welcomes_to(f"{username}@example.com")) == 1


def test_resume_leaves_no_change_for_terraform(
    aws: LocalAws, deployed: Deployment, operator: Operator, terraform: Terraform, pool: Pool, username: str
) -> None:
    parts = ["welcomes", "changes", "reconciliation", "trigger"]
    for part in parts:
        operator("pause", part)
    assert shown_as_paused(aws, deployed) == ", ".join(parts)
    output = "".join(operator("resume", part) for part in parts * 2)
    assert re.search(
        r"Users who signed up since (\S+Z) got no welcome email. To send it: cognito-user-sync welcome --since \1",
        output,
    )
    assert shown_as_paused(aws, deployed) == ""
    status(operator, healthy=True)
    assert terraform.warnings({"user_pool_id": pool.id}) == ""


@pytest.mark.parametrize("part", ["welcomes", "changes", "reconciliation", "trigger"])
def test_pause_and_resume_make_the_documented_calls(aws: LocalAws, operator: Operator, part: str) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    documented = {
        action
        for command, calls in re.findall(r"^\| (.+?) \| (.+?) \|", text, re.MULTILINE)
        if command in {"all", "`pause`, `resume`", f"`... {part}`"}
        for action in re.findall(r"`([a-z]+:[A-Z]\w+)`", calls)
    }
    aws.reset_calls()
    operator("pause", part)
    operator("resume", part)
    # UpdateSchedule passes the schedule's role, which is not a call.
    assert set(aws.calls_by_caller()["root"]) == documented - {"iam:PassRole"}


# --- with read-only permissions


@pytest.fixture
def cron_job(aws: LocalAws, pool: Pool) -> Iterator[LimitedUser]:
    policy = policy_on("operations.md", "## Read-only permissions", pool.id)
    yield from LimitedUser.created(aws, "cron", policy)


@dataclass(frozen=True)
class LimitedUser:
    """An IAM user with a policy of the documentation."""

    aws: LocalAws
    name: str
    documented: Any
    session: boto3.Session = field(repr=False)
    """One for all commands, because reading the services' models takes time."""

    @classmethod
    def created(cls, aws: LocalAws, name: str, policy: Any) -> Iterator[LimitedUser]:
        iam = aws.client("iam")
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        user = cls(aws, name, policy, boto3.Session(key["AccessKeyId"], key["SecretAccessKey"]))
        user.may(policy)
        yield user
        iam.delete_user_policy(UserName=name, PolicyName="documented")
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=name)

    @property
    def allowed(self) -> set[str]:
        """The actions of the documented policy."""
        return {action for statement in self.documented["Statement"] for action in statement["Action"]}

    @property
    def called(self) -> set[str]:
        return set(self.aws.calls_by_caller()[self.name])

    def may(self, policy: Any) -> None:
        """Replace the policy."""
        iam = self.aws.client("iam")
        iam.put_user_policy(UserName=self.name, PolicyName="documented", PolicyDocument=json.dumps(policy))

    def fails(self, *arguments: str) -> str:
        """Run a command that fails, and return its error."""
        with self._credentials():
            result = CliRunner().invoke(command_line, ["--prefix", PREFIX, "--region", "us-east-1", *arguments])
        assert result.exit_code == 2, result.output
        return result.stderr

    @contextmanager
    def _credentials(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(boto3, "DEFAULT_SESSION", self.session)
            yield

    def status(self, policy: Any, expect: int) -> Any:
        self.may(policy)
        return json.loads(self("status", "--json", expect=expect))

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        with self._credentials():
            return without_state(*arguments, expect=expect)


def without(policy: Any, action: str) -> Any:
    """Return a policy without an action."""
    narrowed = copy.deepcopy(policy)
    for statement in narrowed["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    return narrowed


@pytest.fixture
def acknowledged(deployed: Deployment, operator: Operator) -> None:
    """A failed execution that is acknowledged. Only with a failed one, status reads acknowledgements."""
    states, name = deployed.aws.client("stepfunctions"), f"by-hand-{uuid.uuid4()}"
    given = json.dumps({"sub": str(uuid.uuid4())})
    started = states.start_execution(stateMachineArn=_machine("user-sync"), name=name, input=given)
    assert deployed.ended(started["executionArn"])["status"] == "FAILED"
    operator("failures", "acknowledge", "--execution", name)


@pytest.mark.usefixtures("acknowledged")
def test_read_only_user_runs_status(cron_job: LimitedUser) -> None:
    cron_job.aws.reset_calls()
    found = cron_job.status(cron_job.documented, expect=0)
    assert found["healthy"] is True
    assert cron_job.called == cron_job.allowed
    cron_job("reconcile", expect=2)


@pytest.mark.usefixtures("acknowledged")
def test_read_only_user_needs_each_permission(cron_job: LimitedUser) -> None:
    """Without a permission, status shows the rest. Without ssm:GetParameter, it finds no deployment."""
    for action in cron_job.allowed - {"ssm:GetParameter"}:
        found = cron_job.status(without(cron_job.documented, action), expect=2)
        assert found["not_checked"], action
        assert all(action in why for why in found["not_checked"]), found["not_checked"]
        assert found["problems"] == []


# --- reconcile


def test_reconcile_writes_nothing_when_dry_run(
    aws: LocalAws, deployed: Deployment, operator: Operator, pool: Pool, ada: str
) -> None:
    operator("reconcile")
    # Change tracking does not see this change, because it is no call to Cognito.
    aws.client("dynamodb").update_item(
        TableName=deployed.outputs["user_table_name"],
        Key={"id": {"S": ada}},
        UpdateExpression="SET custom_mark = :mark REMOVE given_name",
        ExpressionAttributeValues={":mark": {"S": "mine"}},
    )
    before = deployed.item(ada)
    last = section(status(operator, healthy=True), "reconciliation")["last_run"]["arn"]
    output = facts(operator("reconcile", "--dry-run"))
    assert "A dry run: nothing was written. Would change:" in output
    assert "updated 1 " in output
    assert deployed.item(ada) == before
    assert section(status(operator, healthy=True), "reconciliation")["last_run"]["arn"] == last, (
        "a dry run is no reconciliation"
    )
    assert "updated 1 " in facts(operator("reconcile"))
    after = deployed.item(ada) or {}
    assert (after["given_name"], after["custom_mark"]) == ("canary given_name", "mine")


def test_run_continues_when_reconcile_is_interrupted(
    aws: LocalAws, operator: Operator, pool: Pool, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    aws.set_quotas({"cognito-idp:ListUsers": {"per_second": 30, "latency_ms": 1500}})
    with monkeypatch.context() as patch:
        patch.setattr("cognito_user_sync_cli.reconciliation.time.sleep", interrupted)
        left = operator("reconcile", expect=130)
    assert "The run continues. To follow it again: cognito-user-sync reconcile --follow" in left
    arn = re.findall(r"Started (\S+)", left)[0]
    beside = operator("reconcile", expect=1)
    assert "Not run: another run, which began earlier, is not over yet: " in beside
    assert "To follow that run: cognito-user-sync reconcile --follow" in beside
    aws.clear_quotas()
    assert "listed" in operator("reconcile", "--follow")
    assert section(status(operator, healthy=True), "reconciliation")["last_run"]["arn"] == arn


def test_run_continues_when_it_cannot_be_followed(aws: LocalAws, operator: Operator) -> None:
    aws.set_faults([{"operation": "states:DescribeExecution", "fault": "access_denied"}])
    output = operator("reconcile", expect=2)
    assert "The run continues. To follow it again: cognito-user-sync reconcile --follow" in output
    assert "AWS error: " in output
    aws.clear_faults()
    assert "listed" in operator("reconcile", "--follow")


def test_reconcile_rejects_options_without_a_run(operator: Operator) -> None:
    assert "remove --dry-run" in facts(operator("reconcile", "--follow", "--dry-run", expect=2))
    assert "add --dry-run" in facts(operator("reconcile", "--deletions-file", "deletions.txt", expect=2))


def test_reconcile_shows_progress_of_workers(
    aws: LocalAws, deployed: Deployment, operator: Operator, pool: Pool, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    listed = reconciliation._Progress.listed

    def remembered(progress: Any) -> int:
        seen.append(listed(progress))
        return seen[-1]

    operator("reconcile")
    monkeypatch.setattr(reconciliation._Progress, "listed", remembered)
    aws.set_quotas({"cognito-idp:ListUsers": {"latency_ms": 500}})
    operator("reconcile")
    assert seen, "the progress was not read"
    described = deployed.aws.client("stepfunctions").list_executions(
        stateMachineArn=deployed.outputs["reconciliation_state_machine_arn"], maxResults=1
    )["executions"][0]
    progress = reconciliation._Progress(
        aws.client("logs"), f"/aws/lambda/{PREFIX}-reconcile-shards", described["startDate"]
    )
    summary = section(status(operator, healthy=True), "reconciliation")["last_run"]["summary"]
    assert listed(progress) == summary["listed"] > 0


# --- export


@pytest.fixture
def exporter(aws: LocalAws, pool: Pool) -> Iterator[LimitedUser]:
    policy = policy_on("export-and-restore.md", "<!-- export policy", pool.id)
    yield from LimitedUser.created(aws, "exporter", policy)


def test_export_has_all_users_with_the_documented_permissions(
    aws: LocalAws, exporter: LimitedUser, operator: Operator, pool: Pool, ada: str, username: str, tmp_path: Path
) -> None:
    unconfirmed = pool.sign_up(f"{username}-2", email=f"{username}-2@example.com")
    (unverified,) = make_users(pool, 1)
    operator("reconcile")
    aws.reset_calls()

    def export(kind: str, *options: str, expect: int = 0) -> Path:
        file = tmp_path / f"{kind}-{len(options)}"
        exporter("export", "--format", kind, "--output", str(file), *options, expect=expect)
        return file

    of_table = [json.loads(line) for line in export("jsonl", "--include-deleted").read_text().splitlines()]
    (row,) = [row for row in csv.DictReader(export("csv").open(newline="")) if row["sub"] == ada]
    of_pool = [json.loads(line) for line in export("jsonl", "--from", "pool").read_text().splitlines()]
    imported = export("cognito-import", expect=1).read_text().splitlines()
    assert exporter.called == exporter.allowed

    (item,) = [user for user in of_table if user["sub"] == ada]
    assert (item["username"], item["custom:plan"], item["enabled"]) == (username, "canary", True)
    assert (row["username"], row["custom:plan"], row["email_verified"]) == (username, "canary", "true")
    subs = [user["sub"] for user in of_pool]
    assert {ada, unconfirmed} <= set(subs)
    assert len(subs) == len(set(subs))
    confirmed = {user["sub"] for user in of_pool if user["status"] != "UNCONFIRMED"}
    assert {user["sub"] for user in of_table if "deleted_at" not in user} == confirmed
    (line,) = [line for line in imported if line.endswith(f",{username}")]
    assert "Ada-Canary" in line
    assert set(imported[0].split(",")) >= {"custom:plan", "email_verified", "cognito:username", "cognito:mfa_enabled"}
    assert f"{unverified},no verified email\n" in (tmp_path / "cognito-import-0.rejected.csv").read_text()


def test_export_needs_each_permission(exporter: LimitedUser, ada: str, tmp_path: Path) -> None:
    of_pool, of_import = ("--from", "pool"), ("--format", "cognito-import")
    options: dict[str, tuple[str, ...]] = {
        "cognito-idp:DescribeUserPool": of_pool,
        "cognito-idp:GetCSVHeader": of_import,
        "cognito-idp:ListUsers": of_pool,
        "dynamodb:Scan": ("--include-deleted",),
    }
    for number, action in enumerate(exporter.allowed - {"ssm:GetParameter"}):
        exporter.may(without(exporter.documented, action))
        command = ("export", "--format", "jsonl", "--output", str(tmp_path / f"{number}"), *options.get(action, ()))
        assert action in exporter.fails(*command), action


# --- restore


@pytest.fixture
def target(aws: LocalAws) -> Pool:
    """Another pool, with the same schema."""
    return make_pool(aws)


@pytest.fixture
def restorer(aws: LocalAws, pool: Pool, target: Pool) -> Iterator[LimitedUser]:
    policy = policy_on("export-and-restore.md", "<!-- restore policy", pool.id, TARGET_POOL_ID=target.id)
    yield from LimitedUser.created(aws, "restorer", policy)


def users_of(pool: Pool) -> dict[str, Any]:
    """Return attributes and status of the users of a pool, by username."""
    pages = pool.cognito.get_paginator("list_users").paginate(UserPoolId=pool.id)
    return {
        user["Username"]: {each["Name"]: each["Value"] for each in user["Attributes"]} | {"enabled": user["Enabled"]}
        for page in pages
        for user in page["Users"]
    }


def test_restore_creates_the_users_with_the_documented_permissions(
    aws: LocalAws, restorer: LimitedUser, operator: Operator, pool: Pool, target: Pool, ada: str, username: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    (disabled,) = make_users(pool, 1).values()
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username=disabled)
    operator("reconcile")
    table = tmp_path / "users.jsonl"
    operator("export", "--format", "jsonl", "--output", str(table))
    exported = {user["username"]: user for user in map(json.loads, table.read_text().splitlines())}
    mapped = tmp_path / "map.csv"
    command = ("restore", "--into", target.id, "--map", str(mapped), "--rate", "50", "--random-passwords")
    aws.reset_calls()
    assert f"{len(exported):,} user" in restorer(*command, "--dry-run")
    assert users_of(target) == {}
    restorer(*command, "--yes")

    found = users_of(target)
    assert found.keys() == exported.keys()
    with mapped.open(newline="") as file:
        subs = {row["old_sub"]: row["new_sub"] for row in csv.DictReader(file)}
    assert subs == {user["sub"]: found[name]["sub"] for name, user in exported.items()}
    attributes = {"email", "email_verified", "name", "custom:plan", "phone_number"}
    for name in (username, disabled):
        assert {each: found[name].get(each) for each in attributes} == {
            each: exported[name].get(each) for each in attributes
        }
    assert (found[username]["enabled"], found[disabled]["enabled"]) == (True, False)
    # The user of a restored account can choose a password.
    target.reset_password(username)
    status = target.cognito.admin_get_user(UserPoolId=target.id, Username=username)["UserStatus"]
    assert status == "CONFIRMED"

    # Of a file: a group, and a user whom the pool has already.
    record = exported[disabled]
    lines = [record, {**record, "sub": str(uuid.uuid4()), "username": "canary-new", "groups": ["staff"]}]
    table.write_text("\n".join(map(json.dumps, lines)))
    output = restorer(*command[:3], "--users", str(table), "--map", str(tmp_path / "second.csv"), "--yes", expect=1)
    assert "1 groups created: staff" in output
    (member,) = target.cognito.list_users_in_group(UserPoolId=target.id, GroupName="staff")["Users"]
    assert (member["Username"], member["Enabled"]) == ("canary-new", False)
    problems = (tmp_path / "second.csv.problems.csv").read_text()
    assert f'{record["sub"]},"a user with this username exists, with another status CONFIRMED"' in problems
    assert restorer.called == restorer.allowed - {"cognito-idp:AdminGetUser"}


def test_restore_needs_each_permission(restorer: LimitedUser, ada: str, username: str, tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    fixed = ("--into", restorer.documented["Statement"][1]["Resource"].split("/")[1], "--yes")
    user = {"sub": ada, "username": username, "status": "CONFIRMED", "enabled": False}

    def fails(action: str, *options: str) -> None:
        restorer.may(without(restorer.documented, action))
        assert action in restorer.fails("restore", *fixed, *options), action

    for action in restorer.documented["Statement"][0]["Action"]:
        if action != "ssm:GetParameter":
            fails(action, "--map", str(tmp_path / "table.csv"))
    # AdminGetUser is for a user whom ListUsers does not show.
    for action in sorted(set(restorer.documented["Statement"][1]["Action"]) - {"cognito-idp:AdminGetUser"}):
        name = "canary-again" if action == "cognito-idp:ListUsers" else f"canary-{uuid.uuid4()}"
        file.write_text(json.dumps({**user, "username": name, "groups": [name]}))
        options = ("--users", str(file), "--random-passwords", "--map")
        if action == "cognito-idp:ListUsers":
            restorer.may(restorer.documented)
            restorer("restore", *fixed, *options, str(tmp_path / "first.csv"))
        fails(action, *options, str(tmp_path / f"{uuid.uuid4()}.csv"))


# --- one user


def test_user_is_found_by_sub_username_and_email(operator: Operator, ada: str, username: str) -> None:
    for who in (ada, username, f"{username}@example.com", f"{username.upper()}@EXAMPLE.com"):
        output = facts(operator("user", who))
        assert f"email {username}@example.com {username}@example.com" in output
        assert "custom:plan canary canary" in output
        assert "SUCCEEDED created sent, message ID " in output
        assert "Welcome email: sent, message ID " in output
        assert output.endswith("The table is in sync with Cognito.")


def test_no_welcome_email_when_address_is_not_verified(
    deployed: Deployment, operator: Operator, pool: Pool, username: str
) -> None:
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.cognito.admin_confirm_sign_up(UserPoolId=pool.id, Username=username)
    (execution,) = deployed.settled(sub)
    assert json.loads(execution["output"])["sent"] is False
    assert deployed.welcomes_to(f"{username}@example.com") == []
    eventually(lambda: section(status(operator, healthy=True), "welcome_emails")["skipped"]["address_not_verified"])


def test_user_escapes_control_characters_of_a_name(
    deployed: Deployment, operator: Operator, pool: Pool, username: str
) -> None:
    sub = pool.sign_up(username, email=f"{username}@example.com", name="\x1b[2J[red]:heart: canary")
    pool.confirm(username)
    deployed.settled(sub)
    output = operator("user", username)
    assert "\x1b" not in output
    assert "\\u001b[2J[red]:heart:" in output


def test_user_is_found_by_username_that_looks_like_a_sub(deployed: Deployment, operator: Operator, pool: Pool) -> None:
    username = str(uuid.uuid4())
    sub = pool.sign_up(username, name="Ada Canary")
    pool.confirm(username)
    deployed.settled(sub)
    assert f"cognito-user-sync user {sub}" not in operator("user", username)
    assert f"username {username} {username}" in facts(operator("user", username))


def test_user_sync_option_shows_why_it_failed(aws: LocalAws, operator: Operator, ada: str, username: str) -> None:
    aws.set_faults([{"operation": "dynamodb:UpdateItem", "fault": "access_denied"}])
    aws.client("dynamodb").delete_item(TableName=f"{PREFIX}-users", Key={"id": {"S": ada}})
    output = operator("user", username, "--sync", expect=1)
    assert "Not synced: An error occurred (AccessDenied" in output
    aws.clear_faults()
    assert "Synced: created." in operator("user", username, "--sync")
    eventually(lambda: json.loads(operator("status", "--json"))["healthy"])


def test_user_who_never_confirmed_is_not_missing(operator: Operator, pool: Pool, username: str) -> None:
    pool.sign_up(username, email=f"{username}@example.com")
    assert "The sign-up is not confirmed: the user is not in the table until then" in operator("user", username)


def test_user_lists_all_users_of_an_address(operator: Operator, pool: Pool, ada: str, username: str) -> None:
    other = pool.sign_up(f"{username}-2", email=f"{username}@example.com")
    output = operator("user", f"{username}@example.com", expect=1)
    assert "2 users match" in output
    assert ada in output
    assert other in output


def test_user_reports_unknown_user(operator: Operator) -> None:
    assert "No such user: neither the pool" in operator("user", "00000000-0000-4000-8000-000000000000", expect=1)
    for who in ("unknown", "unknown@example.com", 'x" or sub ^= "'):
        assert "Not in the user pool: " in operator("user", who, expect=1)


# --- the outcome of the welcome email


def test_user_shows_outcome_of_welcome_email(deployed: Deployment, operator: Operator, pool: Pool) -> None:
    alias, phone_only, imported = (f"{uuid.uuid4()}" for _ in range(3))
    with_alias = pool.sign_up(alias, email=f"{alias}@example.com", name="Ada-Canary")
    without_address = pool.sign_up(phone_only)
    for username, sub in ((alias, with_alias), (phone_only, without_address)):
        pool.confirm(username)
        assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    pool.cognito.admin_create_user(UserPoolId=pool.id, Username=imported, MessageAction="SUPPRESS")
    pool.cognito.admin_set_user_password(UserPoolId=pool.id, Username=imported, Password=PASSWORD, Permanent=True)
    (mail,) = deployed.welcomes_to(f"{alias}@example.com")
    assert "Ada-Canary" in mail.text
    assert alias not in mail.text
    assert "sent, message ID " in facts(operator("user", with_alias))
    assert "skipped: no deliverable email address" in facts(operator("user", without_address))
    eventually(lambda: "The table is in sync with Cognito." in operator("user", imported, "--sync"))
    assert "there is no execution of a sign-up" in facts(operator("user", imported))


# --- preview-email


def test_preview_email_is_the_email_that_a_user_gets(
    deployed: Deployment, operator: Operator, ada: str, username: str, tmp_path: Path
) -> None:
    output = operator(
        "preview-email", "--username", username, "--name", "Ada-Canary", "--attribute", "custom:plan=canary",
        "--folder", str(tmp_path / "mail"),
    )  # fmt: skip
    (mail,) = [
        mail for mail in deployed.aws.outbox() if f"{username}@example.com" in mail.to and "Example" in mail.source
    ]
    assert f"Subject: {mail.subject}" in output
    assert (tmp_path / "mail" / "welcome-preview.txt").read_text() == mail.text
    assert (tmp_path / "mail" / "welcome-preview.html").read_text() == mail.html


def test_preview_email_leaves_templates_unchanged(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates = {file.name: file.read_text() for file in EXAMPLE.glob("welcome.*")}
    for name, content in templates.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    operator("preview-email", "--username", "ada", "--name", "Ada", "--html", "welcome.html")
    assert {name: (tmp_path / name).read_text() for name in templates} == templates
    assert "Welcome, Ada!" in (tmp_path / "welcome-preview.html").read_text()


def test_preview_email_renders_template_that_is_not_deployed(operator: Operator, tmp_path: Path) -> None:
    html = tmp_path / "new.html"
    html.write_text("<p>{{name}} of {{custom:plan}}</p>")
    operator("preview-email", "--username", "ada", "--name", "<Ada>", "--html", str(html), "--folder", str(tmp_path))
    assert (tmp_path / "welcome-preview.html").read_text() == "<p>&lt;Ada&gt; of </p>"
    assert (tmp_path / "welcome-preview.txt").read_text().startswith("Hello <Ada>,")


# --- another region or account


def test_commands_name_another_region_and_account(deployed: Deployment, tmp_path: Path) -> None:
    def elsewhere(old: str, new: str) -> Operator:
        outputs = json.loads(json.dumps(deployed.outputs).replace(old, new))
        return Operator.of(Deployment(deployed.aws, outputs), tmp_path)

    for command in (("status",), ("failures",), ("reconcile",), ("user", "ada")):
        output = elsewhere("us-east-1", "eu-west-1")(*command, expect=2)
        assert f"state machine {PREFIX}-user-sync does not exist in account 000000000000 and region eu-west-1" in output
        output = elsewhere(":000000000000:", ":111122223333:")(*command, expect=2)
        assert (
            "your AWS credentials are for account 000000000000, but this deployment is in account 111122223333"
            in output
        )


# --- resources of Terraform


def test_alarms_and_charts_are_of_existing_resources(aws: LocalAws, deployed: Deployment) -> None:
    """CloudWatch accepts every name. An alarm with a wrong name would never fire."""
    functions = {each["FunctionName"] for each in aws.client("lambda").list_functions()["Functions"]}
    machines = {each["stateMachineArn"] for each in aws.client("stepfunctions").list_state_machines()["stateMachines"]}
    queues = {url.rpartition("/")[2] for url in aws.client("sqs").list_queues()["QueueUrls"]}
    rules = {each["Name"] for each in aws.client("events").list_rules()["Rules"]}
    tables = set(aws.client("dynamodb").list_tables()["TableNames"])
    real = {
        "FunctionName": functions,
        "StateMachineArn": machines,
        "QueueName": queues,
        "RuleName": rules,
        "TableName": tables,
        "Operation": {"UpdateItem"},
    }
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html and the pages of the other services
    metrics = {
        "AWS/Lambda": {"Errors", "Throttles", "Duration", "Invocations", "IteratorAge"},
        "AWS/States": {
            "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsSucceeded", "ExecutionsStarted", "ExecutionTime",
        },
        "AWS/SQS": {
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible", "NumberOfEmptyReceives",
        },
        "AWS/Events": {"FailedInvocations", "InvocationsFailedToBeSentToDlq"},
        "AWS/SES": {"Bounce", "Delivery", "Reject", "Reputation.BounceRate", "Reputation.ComplaintRate", "Send"},
        "AWS/DynamoDB": {
            "ConditionalCheckFailedRequests", "ConsumedWriteCapacityUnits", "SuccessfulRequestLatency",
            "WriteThrottleEvents",
        },
    }  # fmt: skip
    logs = aws.client("logs")
    found = logs.describe_metric_filters()["metricFilters"]
    filters = {each["filterName"].removeprefix(f"{PREFIX}-"): each for each in found}
    cloudwatch = aws.client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmNames=deployed.outputs["alarm_names"])["MetricAlarms"]
    assert len(alarms) == len(deployed.outputs["alarm_names"]) == 22
    for alarm in alarms:
        summed = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        for metric in summed or [alarm]:
            if metric["Namespace"].startswith("CognitoUserSync/"):
                (lost,) = filters["sign-ups-lost"]["metricTransformations"]
                assert (metric["Namespace"], metric["MetricName"]) == (lost["metricNamespace"], lost["metricName"])
                continue
            assert metric["MetricName"] in metrics[metric["Namespace"]], alarm["AlarmName"]
            for dimension in metric["Dimensions"]:
                assert dimension["Value"] in real[dimension["Name"]], alarm["AlarmName"]

    name = deployed.outputs["dashboard_url"].rpartition("/")[2]
    widgets = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])["widgets"]
    charts = [widget for widget in widgets if widget["type"] == "metric"]
    shown = [metric for chart in charts for metric in chart["properties"]["metrics"]]
    of_pool, of_emails = [metric[0]["expression"] for metric in shown if len(metric) == 1]
    assert deployed.outputs["user_pool_id"] in of_pool
    (counted,) = filters["welcome-emails"]["metricTransformations"]
    assert f'"{counted["metricNamespace"]}"' in of_emails
    for chart in charts:
        # All other entries name a metric.
        for namespace, metric, *dimensions, _ in (each for each in chart["properties"]["metrics"] if len(each) > 1):
            assert metric in metrics[namespace], chart["properties"]["title"]
            for dimension, value in zip(dimensions[::2], dimensions[1::2], strict=True):
                assert value in real[dimension], chart["properties"]["title"]
    occupied = [
        (x, y)
        for widget in widgets
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(occupied) == len(set(occupied)), "widgets lie upon each other"
    assert max(x for x, _ in occupied) < 24, "a dashboard is 24 columns wide"
    (in_widget,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert {arn.rpartition(":")[2] for arn in in_widget} == set(deployed.outputs["alarm_names"])
    queries = logs.describe_query_definitions(queryDefinitionNamePrefix=f"{PREFIX}/")["queryDefinitions"]
    groups = {each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]}
    assert len(queries) == 4
    assert all(set(each["logGroupNames"]) <= groups for each in queries)


def test_arn_outputs_name_every_resource_of_the_state(deployed: Deployment, terraform: Terraform) -> None:
    arns: dict[str, set[str]] = {}
    for resource in json.loads(terraform.state.read_text())["resources"]:
        if resource["mode"] == "managed" and resource.get("module", "").startswith("module.user_sync"):
            found = {instance["attributes"].get("arn") for instance in resource["instances"]}
            arns.setdefault(resource["type"], set()).update(found)
    for output, kind in {
        "function_arns": "aws_lambda_function",
        "role_arns": "aws_iam_role",
        "log_group_arns": "aws_cloudwatch_log_group",
        "queue_arns": "aws_sqs_queue",
        "alarm_arns": "aws_cloudwatch_metric_alarm",
    }.items():
        # The log group of the deployment is always empty.
        expected = {arn for arn in arns[kind] if not arn.endswith(f":/cognito-user-sync/{PREFIX}")}
        assert set(deployed.outputs[output].values()) == expected
        for name, arn in deployed.outputs[output].items():
            assert re.search(rf"{PREFIX}(-us-east-1)?-{name}$", arn)


def test_monitoring_and_outputs_have_no_personal_data(
    aws: LocalAws, deployed: Deployment, terraform: Terraform, ada: str
) -> None:
    metrics = aws.client("cloudwatch")
    assert_no_personal_data("alarms", str(metrics.describe_alarms()))
    assert_no_personal_data("metrics", str(metrics.list_metrics()))
    assert_no_personal_data("dashboard", str(metrics.get_dashboard(DashboardName=f"{PREFIX}-us-east-1")))
    assert_no_personal_data("outputs", json.dumps(terraform.outputs()))
    assert_no_personal_data("state", terraform.state.read_text())


# --- an application that uses the table


@pytest.fixture
def application(aws: LocalAws, deployed: Deployment) -> Iterator[dict[str, str]]:
    """The environment of an IAM user with the policies of the example."""
    iam, name = aws.client("iam"), "application"
    iam.create_user(UserName=name)
    policies = [each["Arn"] for each in iam.list_policies(Scope="Local")["Policies"] if "user-table-" in each["Arn"]]
    for arn in policies:
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "USER_TABLE_NAME": deployed.outputs["user_table_name"],
    }
    for arn in policies:
        iam.detach_user_policy(UserName=name, PolicyArn=arn)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


@pytest.mark.parametrize("run", [in_python, in_javascript])
def test_code_of_page_reads_and_extends_users(
    aws: LocalAws,
    deployed: Deployment,
    pool: Pool,
    username: str,
    application: dict[str, str],
    tmp_path: Path,
    run: Code,
) -> None:
    email = f"{username}@Example.com"
    sub = pool.sign_up(username, email=email, custom__plan="canary")
    aws.reset_calls()
    start_trial = ["start_trial", sub, "2026-01-31"]
    assert run(tmp_path, application, [["user_by_sub", sub], start_trial, ["user_by_sub", sub]]) == [None, None, None]

    pool.confirm(username)
    deployed.settled(sub)
    claims = id_token_claims(pool, username)
    by_email = ["users_by_email", email.upper()]
    of_token = ["user_of_token", claims]
    new = str(uuid.uuid4())
    calls = [["user_by_sub", sub], by_email, of_token, start_trial, ["user_of_token", {**claims, "sub": new}]]
    user, users, same, failed, not_synced = run(tmp_path, application, calls)
    assert users == [user]
    assert same == user == {**(deployed.item(sub) or {}), "synced_attributes": sorted(user["synced_attributes"])}
    assert user["trial_started_at"] == "2026-01-31"
    assert failed == "ConditionalCheckFailedException"
    known = {name: user[name] for name in ("username", "email", "phone_number", "custom:plan", "name") if name in user}
    assert not_synced == {"id": new, **known}

    pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=username)
    eventually(lambda: "deleted_at" in (deployed.item(sub) or {}))
    deleted = run(tmp_path, application, [["user_by_sub", sub], by_email, of_token])
    assert deleted == [None, [], None]
    allowed = {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"}
    assert set(aws.calls_by_caller()["application"]) == allowed


def id_token_claims(pool: Pool, username: str) -> Any:
    signed_in = pool.cognito.admin_initiate_auth(
        UserPoolId=pool.id,
        ClientId=pool.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
    )
    payload = signed_in["AuthenticationResult"]["IdToken"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))


def test_types_for_typescript_pass_tsc(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "user-item.ts").write_text(operator("types", "--language", "typescript"))
    (tmp_path / "page.ts").write_text(blocks("ts")[-1])
    (tmp_path / "sample.ts").write_text(TYPED_SAMPLE)
    assert javascript.installed().check_types(tmp_path / "sample.ts", tmp_path / "page.ts") == ""
