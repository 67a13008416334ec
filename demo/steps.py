"""The steps of the demo, in order. Each prints what it found, and raises Unexpected if a check fails."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, TypeVar

from demo.deployment import Deployment
from demo.pool import NOT_COMPARED, PASSWORD, SENDER, ForeignPool, differences, make_foreign_pool
from demo.report import Interrupted, Report, Unexpected
from local_aws.client import LocalAws, Mail

Answer = TypeVar("Answer")

USERNAME = "ada"
EMAIL = "ada@example.com"
# Users from before the module: one is changed later, and one is deleted.
CHANGED = "grace"
DELETED = "alan"
ATTRIBUTES = {"email": EMAIL, "name": "Ada <Lovelace>", "custom:plan": "gold"}
TRIGGER = "LambdaConfig.PostConfirmation"
CALLS_OF_EXECUTION = {
    "sync-user": {"cognito-idp:AdminGetUser": 1, "dynamodb:UpdateItem": 1},
    "send-welcome": {"cognito-idp:AdminGetUser": 1, "ses:SendEmail": 1},
}


def eventually(
    question: Callable[[], Answer | None], what: str, seconds: float = 30, pause_seconds: float = 0.1
) -> Answer:
    """Return the first true answer. Raises Unexpected after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise Unexpected(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause_seconds)
    return answer


class Demo:
    """`folder` gets Terraform's configuration and state. `providers` are the variables of Terraform's providers."""

    def __init__(self, report: Report, aws: LocalAws, folder: Path, providers: Mapping[str, str]) -> None:
        self.report = report
        self.aws = aws
        self.folder = folder
        self.providers = providers
        self.outputs: dict[str, Any] = {}
        self.sub = ""

    def run(self, keep: bool) -> None:
        report = self.report
        with report.step("Create a user pool, as another team has it"):
            pool = make_foreign_pool(self.aws)
            found = pool.configuration()
            report.say(
                f"{pool.id}: password policy, custom attribute, PreSignUp trigger, SMS role, email templates, MFA, tags"
            )
            report.check(TRIGGER not in found, f"{len(found)} settings, and no post-confirmation trigger")
            before = {username: self.confirmed(pool, username) for username in (CHANGED, DELETED)}
            report.say(f"two users: {' and '.join(before)}")
        environment = {**self.aws.environment(), **self.providers}
        deployment = Deployment(report, self.folder, pool.id, SENDER, environment)
        with report.step("terraform apply (about a minute)"):
            report.say(deployment.apply())
            self.outputs = deployment.outputs()
        with report.step("Compare the pool with what it was"):
            changed = differences(found, pool.configuration())
            report.fields(changed)
            wanted = {TRIGGER: f"(not set) -> {self.outputs['post_confirmation_function_arn']}"}
            report.check(changed == wanted, "the trigger is set, and no other setting changed", changed)
        self.sync_users_from_before(before)
        self.sign_up(pool)
        self.inspect_welcome()
        self.repeat(pool)
        self.reset_password(pool)
        self.heal(pool)
        self.reconcile(pool, deployment, before)
        with report.step("terraform plan again"):
            planned = deployment.planned_changes()
            report.check(not planned, "no changes", planned)
        if keep:
            self.keep(pool)
        with report.step("terraform destroy"):
            report.say(deployment.destroy())
        with report.step("Compare the pool again"):
            left = differences(found, pool.configuration())
            report.say(f"not compared, because Cognito changes them: {', '.join(NOT_COMPARED)}")
            report.check(not left, f"all {len(found)} settings have their original values", left)
        self.sign_up_without_module(pool)

    def confirmed(self, pool: ForeignPool, username: str) -> str:
        """Sign up, and confirm with the emailed code. Returns the sub."""
        address = f"{username}@example.com"
        sub = pool.sign_up(username, {"email": address})
        (code,) = eventually(lambda: pool.mailed_codes(address), "the email with the code")
        pool.confirm(username, code)
        return sub

    def sync_users_from_before(self, subs: Mapping[str, str]) -> None:
        with self.report.step("Users from before the module"):
            states, run = self.aws.client("stepfunctions"), self.outputs["first_run"]["execution_arn"]

            def ended() -> dict[str, Any] | None:
                described: dict[str, Any] = states.describe_execution(executionArn=run)
                return described if described["status"] != "RUNNING" else None

            status = eventually(ended, "the reconciliation that the apply started has ended")["status"]
            self.report.check(status == "SUCCEEDED", "the apply started a reconciliation, which succeeded", status)
            for username, sub in subs.items():
                item = self.item(sub)
                self.report.check(item.get("username") == username, f"{username} is in the table", item)
            self.report.check(not self.welcomes(), "the reconciliation sends no email")

    def sign_up(self, pool: ForeignPool) -> None:
        """A user signs up and confirms: the trigger, the execution, the item."""
        report, aws = self.report, self.aws
        with report.step("A user signs up and confirms"):
            aws.reset_calls()
            self.sub = pool.sign_up(USERNAME, ATTRIBUTES)
            report.say(f"username {USERNAME}, sub {self.sub}")
            (code,) = eventually(lambda: pool.mailed_codes(EMAIL), "the email with the code")
            report.say(f"code {code}, from the email to {EMAIL}")
            asked = aws.calls_by_caller().get("cognito-idp.amazonaws.com")
            report.check(asked == {"lambda:InvokeFunction": 1}, "the pool's own PreSignUp trigger still runs", asked)
            aws.reset_calls()
            pool.confirm(USERNAME, code)
            report.check(True, "confirmed")
        with report.step("The trigger"):
            calls = self.calls_of("post-confirmation")
            report.fields(calls)
            report.check(calls == {"states:StartExecution": 1}, "the trigger makes a single AWS API call", calls)
        with report.step("The execution"):
            (execution,) = self.settled(1)
            states = self.states_of(execution)
            report.say(f"{execution['name']}: {' > '.join(states)}, {execution['status']}")
            report.check(
                states == ["SyncUser", "SendWelcome"] and execution["status"] == "SUCCEEDED",
                "two states: SyncUser and SendWelcome",
                f"{execution['status']} {execution.get('error', '')} {execution.get('cause', '')}",
            )
            output = json.loads(execution["output"])
            report.fields(output)
            report.check(
                (output["outcome"], output["sent"]) == ("created", True),
                "the user is synced, and the welcome email is sent",
            )
            texts = execution["input"] + execution["output"]
            report.check(
                not any(value in texts for value in ATTRIBUTES.values()),
                "input and output contain no user attribute",
                texts,
            )
            for function, expected in CALLS_OF_EXECUTION.items():
                calls = self.calls_of(function)
                report.fields({f"{function} {call}": count for call, count in calls.items()})
                report.check(
                    calls == expected, f"{function} reads the user from Cognito, and makes one other call", calls
                )
        with report.step("The item"):
            item = self.item(self.sub)
            report.fields(item)
            wanted = {**ATTRIBUTES, "id": self.sub, "username": USERNAME, "status": "CONFIRMED"}
            wanted["user_pool_id"] = pool.id
            report.check(
                wanted.items() <= item.items() and "phone_number" not in item,
                "it has every attribute that the user has; phone_number is absent",
                item,
            )

    def inspect_welcome(self) -> None:
        with self.report.step("The welcome email"):
            welcomes = self.welcomes()
            for mail in welcomes:
                self.report.letter(f"{mail.source} to {', '.join(mail.to)}: {mail.subject}", mail.text)
            self.report.check([mail.to for mail in welcomes] == [[EMAIL]], "one email, to the user")
            first_line = f"Welcome, {ATTRIBUTES['name']}"
            text, html = welcomes[0].text, welcomes[0].html or ""
            self.report.check(
                first_line in text and escape(first_line) in html, "it has the user's name, in text and in HTML", html
            )

    def repeat(self, pool: ForeignPool) -> None:
        with self.report.step("Cognito invokes the trigger a second time"):
            event = pool.post_confirmation_event(USERNAME)
            self.aws.reset_calls()
            answer = self.aws.client("lambda").invoke(
                FunctionName=self.outputs["post_confirmation_function_arn"], Payload=json.dumps(event)
            )
            returned = json.load(answer["Payload"])
            self.report.check(returned == event, "the trigger returns the event unchanged", returned)
            calls = self.calls_of("post-confirmation")
            self.report.check(
                calls == {"states:StartExecution": 1}, "it starts the execution again, under the same name", calls
            )
            self.report.check(len(self.settled(1)) == 1, "there is no second execution")
            self.report.check(len(self.welcomes()) == 1, "there is no second welcome email")

    def reset_password(self, pool: ForeignPool) -> None:
        with self.report.step("The user resets the password"):
            cognito = self.aws.client("cognito-idp")
            before = len(pool.mailed_codes(EMAIL))
            cognito.forgot_password(ClientId=pool.client_id, Username=USERNAME)
            code = eventually(lambda: pool.mailed_codes(EMAIL)[before:], "the email with the code")[0]
            cognito.confirm_forgot_password(
                ClientId=pool.client_id, Username=USERNAME, ConfirmationCode=code, Password=PASSWORD + "x"
            )
            executions = self.settled(2)
            outputs = {json.loads(each["input"])["reason"]: json.loads(each["output"]) for each in executions}
            self.report.say(f"code {code}")
            self.report.check(
                sorted(outputs) == ["password_reset", "sign_up"], "the reset has its own execution", outputs
            )
            output = outputs["password_reset"]
            self.report.fields(output)
            self.report.check(output["outcome"] in ("updated", "unchanged"), "the user is synced")
            self.report.check(not output["sent"] and len(self.welcomes()) == 1, "there is no second welcome email")

    def heal(self, pool: ForeignPool) -> None:
        with self.report.step("Step Functions fails while a user confirms"):
            username = "hedy"
            self.aws.reset_calls()
            self.aws.set_faults([{"operation": "states:StartExecution", "fault": "500", "times": 1}])
            try:
                sub = self.confirmed(pool, username)
            finally:
                self.aws.clear_faults()
            self.report.check(True, "confirmed: the user sees no error")
            calls = self.calls_of("post-confirmation")
            self.report.check("sqs:SendMessage" in calls, "the request is in the retry queue", calls)
            address = f"{username}@example.com"
            eventually(lambda: self.welcomes(address), "the welcome email")
            item = self.item(sub)
            self.report.check(item.get("email") == address, "after the retry, the user is in the table", item)
            self.report.check(len(self.welcomes(address)) == 1, "the user got one welcome email")

    def reconcile(self, pool: ForeignPool, deployment: Deployment, subs: Mapping[str, str]) -> None:
        with self.report.step("A change and a deletion: cognito-user-sync reconcile"):
            cognito = self.aws.client("cognito-idp")
            cognito.admin_update_user_attributes(
                UserPoolId=pool.id, Username=CHANGED, UserAttributes=[{"Name": "name", "Value": "Grace Hopper"}]
            )
            cognito.admin_delete_user(UserPoolId=pool.id, Username=DELETED)
            for line in filter(None, deployment.cognito_user_sync("reconcile").splitlines()):
                self.report.say(line)
            changed, deleted = (self.item(subs[username]) for username in (CHANGED, DELETED))
            self.report.check(
                changed.get("name") == "Grace Hopper", f"{CHANGED} has the new name in the table", changed
            )
            self.report.check("deleted_at" in deleted, f"{DELETED} is marked as deleted in the table", deleted)

    def keep(self, pool: ForeignPool) -> None:
        """Print what to try, and wait until Ctrl-C."""
        folder = os.path.relpath(self.folder)
        exports = {**self.aws.environment(), **self.providers}
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()]
        (self.folder / "env").write_text("".join(lines), encoding="utf-8")
        with self.report.step("Running until you press Ctrl-C"):
            self.report.say("Try, in another terminal in this folder:")
            for command in (
                "make cli",
                f". {folder}/env",
                f".venv/bin/cognito-user-sync --chdir {folder} status",
                f".venv/bin/cognito-user-sync --chdir {folder} user {USERNAME}",
                ".venv/bin/python -m local_aws emails",
                f".venv/bin/python -m local_aws aws cognito-idp list-users --user-pool-id {pool.id}",
            ):
                self.report.say(f"    {command}")
            self.report.say("Ctrl-C destroys the deployment, compares the pool, and stops the local AWS.")
            try:
                while self.aws.is_ready():
                    time.sleep(1)
                raise Unexpected("the local AWS has ended")
            except Interrupted:
                pass

    def sign_up_without_module(self, pool: ForeignPool) -> None:
        with self.report.step("A user signs up without the module"):
            self.confirmed(pool, "joan")
            self.report.check(True, "confirmed: the pool invokes no deleted function")
            self.report.check(not self.welcomes("joan@example.com"), "there is no welcome email")

    def calls_of(self, function: str) -> dict[str, int]:
        """The AWS calls of a function, since the last reset."""
        return self.aws.calls_by_caller().get(self.outputs["function_arns"][function].rpartition(":")[2], {})

    def settled(self, count: int) -> list[dict[str, Any]]:
        """The user's executions, once there are `count` or more and none runs."""
        states = self.aws.client("stepfunctions")

        def ended() -> list[dict[str, Any]] | None:
            listed = states.list_executions(stateMachineArn=self.outputs["user_sync_state_machine_arn"])
            described = [
                states.describe_execution(executionArn=execution["executionArn"]) for execution in listed["executions"]
            ]
            ours = [execution for execution in described if json.loads(execution["input"])["sub"] == self.sub]
            done = len(ours) >= count and all(execution["status"] != "RUNNING" for execution in ours)
            return ours if done else None

        return eventually(ended, f"{count} executions of this user, all ended")

    def states_of(self, execution: Mapping[str, Any]) -> list[str]:
        """The states that an execution went through."""
        history = self.aws.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in history["events"]
            if "stateEnteredEventDetails" in event
        ]

    def item(self, sub: str) -> dict[str, Any]:
        """The user's item, without DynamoDB's types; empty if there is none."""
        answer = self.aws.client("dynamodb").get_item(
            TableName=self.outputs["user_table_name"], Key={"id": {"S": sub}}, ConsistentRead=True
        )
        return {name: next(iter(value.values())) for name, value in sorted(answer.get("Item", {}).items())}

    def welcomes(self, address: str = "") -> list[Mail]:
        """The welcome emails to an address, or to all: Cognito's own emails are in the outbox, too."""
        return [mail for mail in self.aws.outbox() if SENDER in mail.source and address in ("", *mail.to)]
