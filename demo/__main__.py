"""Runs the demo. Exits 0 if every step went as it should, else 1; what it started is ended either way."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from demo.deployment import Deployment
from demo.pool import NOT_COMPARED, PASSWORD, SENDER, ForeignPool, differences, make_foreign_pool
from demo.report import Report, Unexpected
from local_aws.client import LocalAws, LocalAwsError, Mail
from local_aws.terraform_providers import ProvidersError, terraform_environment

Answer = TypeVar("Answer")

USERNAME = "ada"
EMAIL = "ada@example.com"


def eventually(question: Callable[[], Answer | None], what: str, seconds: float = 30) -> Answer:
    """The first answer that is true, asked until it is."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise Unexpected(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)
    return answer


class Demo:
    def __init__(self, report: Report, aws: LocalAws, folder: Path) -> None:
        self.report = report
        self.aws = aws
        self.folder = folder
        self.outputs: dict[str, Any] = {}

    def run(self) -> None:
        report, aws = self.report, self.aws
        with report.step("Somebody else's user pool"):
            pool = make_foreign_pool(aws)
            found = pool.configuration()
            report.say(f"{pool.id}: password policy, custom attribute, PreSignUp trigger, tags, MFA, mail templates.")
            report.check("LambdaConfig.PostConfirmation" not in found, "it has no post-confirmation trigger")
        deployment = Deployment(self.folder, pool.id, SENDER, {**aws.environment(), **terraform_environment()})
        with report.step("terraform apply (takes a minute)"):
            report.say(deployment.apply())
            self.outputs = deployment.outputs()
        with report.step("What the pool has now"):
            changed = differences(found, pool.configuration())
            report.fields(changed)
            report.check(list(changed) == ["LambdaConfig.PostConfirmation"], "the trigger is set, and nothing else")
        sub = self.sign_up(pool)
        self.repeat(pool, sub)
        self.reset_password(pool, sub)
        with report.step("terraform plan again"):
            planned = deployment.planned_changes()
            report.check(planned == [], "nothing to change, and no gap in what the emulator reads back", str(planned))
        with report.step("terraform destroy"):
            report.say(deployment.destroy())
        with report.step("The pool as it was found"):
            left = differences(found, pool.configuration())
            report.say(f"not compared: {', '.join(NOT_COMPARED)}")
            report.check(left == {}, f"all {len(found)} settings of the pool are what they were", str(left))

    def sign_up(self, pool: ForeignPool) -> str:
        """A user signs up and confirms; what becomes of it. Returns the sub."""
        report, aws = self.report, self.aws
        with report.step("A user signs up, and confirms with the mailed code"):
            sub = pool.sign_up(USERNAME, email=EMAIL, name="Ada <Lovelace>", custom__plan="gold")
            code = eventually(lambda: pool.mailed_code(EMAIL), "the mail with the code")
            report.say(f"sub {sub}, code {code}")
            aws.reset_calls()
            aws.client("cognito-idp").confirm_sign_up(ClientId=pool.client_id, Username=USERNAME, ConfirmationCode=code)
            executions = self.settled(sub, 1)
        with report.step("The trigger"):
            calls = aws.calls_by_caller()[self.outputs["post_confirmation_function_arn"].rpartition(":")[2]]
            report.fields(calls)
            report.check(calls == {"states:StartExecution": 1}, "one AWS call, and the user was let through")
        with report.step("The execution"):
            (execution,) = executions
            history = aws.client("stepfunctions").get_execution_history(executionArn=execution["executionArn"])
            states = [
                event["stateEnteredEventDetails"]["name"]
                for event in history["events"]
                if "stateEnteredEventDetails" in event
            ]
            report.say(f"{execution['name']}: {' > '.join(states)}, {execution['status']}")
            expected = ["SyncUser", "IsWelcomed", "SendWelcome", "Done"]
            report.check(states == expected and execution["status"] == "SUCCEEDED", "synced, then greeted")
        with report.step("The item"):
            item = self.item(sub)
            report.fields(item)
            wanted = {"id": sub, "email": EMAIL, "name": "Ada <Lovelace>", "custom:plan": "gold", "phone_number": ""}
            report.check(wanted.items() <= item.items(), "every attribute is there, the missing one as an empty string")
        with report.step("The welcome"):
            (mail,) = self.welcomes()
            report.letter(f"{mail.source} to {', '.join(mail.to)}: {mail.subject}", mail.text)
            greeting = f"Congratulations {USERNAME}, you have been confirmed"
            report.check(greeting in mail.text and greeting in (mail.html or ""), "in text and HTML")
        return sub

    def repeat(self, pool: ForeignPool, sub: str) -> None:
        with self.report.step("Cognito delivers the same event a second time"):
            event = {
                "version": "1",
                "region": self.aws.region,
                "userPoolId": pool.id,
                "userName": USERNAME,
                "callerContext": {"awsSdkVersion": "aws-sdk", "clientId": pool.client_id},
                "triggerSource": "PostConfirmation_ConfirmSignUp",
                "request": {"userAttributes": {"sub": sub, "email": EMAIL}},
                "response": {},
            }
            answer = self.aws.client("lambda").invoke(
                FunctionName=self.outputs["post_confirmation_function_arn"], Payload=json.dumps(event)
            )
            self.report.check(json.load(answer["Payload"]) == event, "the trigger returns the event unchanged")
            self.report.check(len(self.settled(sub, 1)) == 1, "no second execution")
            self.report.check(len(self.welcomes()) == 1, "no second welcome")

    def reset_password(self, pool: ForeignPool, sub: str) -> None:
        with self.report.step("The user resets the password"):
            cognito = self.aws.client("cognito-idp")
            cognito.forgot_password(ClientId=pool.client_id, Username=USERNAME)
            code = eventually(lambda: pool.mailed_code(EMAIL), "the mail with the code")
            cognito.confirm_forgot_password(
                ClientId=pool.client_id, Username=USERNAME, ConfirmationCode=code, Password=PASSWORD + "x"
            )
            executions = self.settled(sub, 2)
            reasons = sorted(json.loads(execution["input"])["reason"] for execution in executions)
            self.report.check(reasons == ["password_reset", "sign_up"], "an execution of its own")
            self.report.check(len(self.welcomes()) == 1, "no second welcome")

    def settled(self, sub: str, count: int) -> list[dict[str, Any]]:
        """The user's executions, once there are `count` and none runs."""
        states = self.aws.client("stepfunctions")

        def ended() -> list[dict[str, Any]] | None:
            listed = states.list_executions(stateMachineArn=self.outputs["user_sync_state_machine_arn"])
            described = [
                states.describe_execution(executionArn=execution["executionArn"]) for execution in listed["executions"]
            ]
            ours = [execution for execution in described if json.loads(execution["input"])["sub"] == sub]
            done = len(ours) >= count and all(execution["status"] != "RUNNING" for execution in ours)
            return ours if done else None

        return eventually(ended, f"{count} ended executions")

    def item(self, sub: str) -> dict[str, Any]:
        answer = self.aws.client("dynamodb").get_item(
            TableName=self.outputs["user_table_name"], Key={"id": {"S": sub}}, ConsistentRead=True
        )
        return {name: next(iter(value.values())) for name, value in sorted(answer.get("Item", {}).items())}

    def welcomes(self) -> list[Mail]:
        return [mail for mail in self.aws.outbox() if SENDER in mail.source]


def main() -> int:
    report = Report()
    error = None
    try:
        with tempfile.TemporaryDirectory(prefix="cognito-user-sync-demo-") as folder, LocalAws.started() as aws:
            report.say(f"The laptop AWS answers at {aws.endpoint_url}.")
            Demo(report, aws, Path(folder)).run()
    except (Unexpected, LocalAwsError, ProvidersError, ClientError, BotoCoreError) as failure:
        error = str(failure)
    except KeyboardInterrupt:
        error = "interrupted"
    report.summary(error)
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
