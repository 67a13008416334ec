"""Many sign-ups while a share of all calls fails at random, and the outcome of each."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.client import Fault, LocalAws
from tests.deployed import CANARY, Deployment, Operator, Pool, eventually

# Every call that the module makes, or that AWS makes for it, from the trigger on. Not Cognito's invocation of the
# trigger: if it fails, Cognito shows an error to the user, and no function can prevent that.
CALLS: list[dict[str, str]] = [
    {"operation": "states:StartExecution"},
    {"operation": "sqs:SendMessage"},
    {"operation": "lambda:InvokeFunction", "function": "retry-sign-ups"},
    {"operation": "lambda:InvokeFunction", "function": "sync-user"},
    {"operation": "lambda:InvokeFunction", "function": "send-welcome"},
    {"operation": "cognito-idp:AdminGetUser"},
    {"operation": "dynamodb:UpdateItem"},
    {"operation": "ses:SendEmail"},
]
# How a call fails. `after`: it takes effect first. After "throttled" and "denied" it has no effect.
FAILURES: list[dict[str, Any]] = [
    {"fault": "throttle"},
    {"fault": "500"},
    {"fault": "500", "after": True},
    {"fault": "reset"},
    {"fault": "reset", "after": True},
    {"fault": "access_denied"},
]
SHARE = 0.2


def rules(seed: int) -> list[Fault]:
    """Return rules by which each call fails with the probability SHARE, equally in each of FAILURES.

    The first rule that fires decides, so a later one needs a higher rate.
    """
    each = SHARE / len(FAILURES)
    return [
        {**call, **way, "rate": each / (1 - position * each), "seed": seed * 1000 + number * 10 + position}  # type: ignore[typeddict-item]
        for number, call in enumerate(CALLS)
        for position, way in enumerate(FAILURES)
    ]


@dataclass(frozen=True)
class Figures:
    """The outcomes: numbers of users, the errors that they saw, and the trigger's log of users that are lost."""

    confirmed: int
    errors: list[str]
    queued: dict[str, int]  # by the last error of StartExecution
    logged_as_lost: int
    redriven: int
    synced: int
    emailed_once: int
    emailed_twice: int
    outcome_unknown: int
    unknown_and_emailed: int
    lost: dict[str, list[str]]  # by sub

    def table(self) -> str:
        """Return the figures as Markdown."""
        rows = {
            "confirmed the sign-up": self.confirmed,
            "saw an error": len(self.errors),
            "had the request in the retry queue": sum(self.queued.values()),
            **{f"... after `{error}` of StartExecution": number for error, number in sorted(self.queued.items())},
            "have an ERROR line: StartExecution and SendMessage failed": self.logged_as_lost,
            "had a failed execution redriven (`cognito-user-sync failures redrive`)": self.redriven,
            "are in the table, with the right attributes and those of the application": self.synced,
            "got one welcome email": self.emailed_once,
            "got two welcome emails": self.emailed_twice,
            "have a failed execution with an unknown outcome of the welcome email": self.outcome_unknown,
            "... of these got the welcome email": self.unknown_and_emailed,
            "are lost: not in the table, or without an email and a failed execution": len(self.lost),
        }
        return "\n".join(["| users that | |", "|---|--:|", *(f"| {row} | {number} |" for row, number in rows.items())])


def warm_up(aws: LocalAws, pool: Pool, deployed: Deployment) -> None:
    """Start the processes of each function: on one machine, cold starts take processor time from the trigger."""
    aws.set_faults([{"operation": "states:StartExecution", "fault": "throttle", "rate": 0.5, "seed": 0}])
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: _sign_up(aws, pool, deployed, f"{CANARY}-warm-{number}"), range(64)))
    aws.clear_faults()
    eventually(lambda: is_quiet(aws, deployed), seconds=600)


def storm(aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator, users: int, seed: int) -> Figures:
    """Let `users` sign up while calls fail, then clear the faults and redrive failed executions as documented."""
    prefix = f"{CANARY}-{seed}-{users}"
    names = [f"{prefix}-{number}" for number in range(users)]
    logged_before = len(_trigger_log(aws, deployed))
    aws.set_faults(rules(seed))
    with ThreadPoolExecutor(8) as threads:
        signed_up = list(threads.map(lambda name: _sign_up(aws, pool, deployed, name), names))
    aws.clear_faults()
    subs = {name: sub for name, (sub, _) in zip(names, signed_up, strict=True)}

    redriven = 0
    while True:
        eventually(lambda: is_quiet(aws, deployed), seconds=600)
        output = operator("failures", "redrive")
        now = int(output.split(maxsplit=1)[0])
        if not now:
            break
        redriven += now

    welcomes = Counter(mail.to[0] for mail in aws.outbox() if "welcome@" in mail.source)
    unknown = _failed(aws, deployed, set(subs.values()))
    right = {name for name, sub in subs.items() if _is_complete(deployed.item(sub), name)}
    emails = {name: welcomes[f"{name}@example.com"] for name in names}
    lines = _trigger_log(aws, deployed)[logged_before:]
    logged = _logged(lines)
    return Figures(
        confirmed=users,
        errors=[error for _, error in signed_up if error],
        queued=dict(Counter(_queued(logged, subs.values()))),
        logged_as_lost=sum("neither started nor" in line for line in lines),
        redriven=redriven,
        synced=len(right),
        emailed_once=sum(count == 1 for count in emails.values()),
        emailed_twice=sum(count > 1 for count in emails.values()),
        outcome_unknown=len(unknown),
        unknown_and_emailed=sum(emails[name] == 1 for name in names if subs[name] in unknown),
        lost={
            subs[name]: logged[subs[name]]
            for name in names
            if name not in right or (not emails[name] and subs[name] not in unknown)
        },
    )


def _sign_up(aws: LocalAws, pool: Pool, deployed: Deployment, name: str) -> tuple[str, str]:
    """Sign up a user. Return the sub, and the error that the user saw, if any.

    The application writes to the item before the module does.
    """
    sub = pool.sign_up(name, email=f"{name}@example.com", name=f"Name of {name}", custom__plan="gold")
    keep_score(aws, deployed, sub)
    try:
        pool.confirm(name)
    except (ClientError, BotoCoreError) as error:
        return sub, str(error)
    return sub, ""


def keep_score(aws: LocalAws, deployed: Deployment, sub: str) -> None:
    """Write an attribute of the application to the item, by PutItem, because the faults are those of UpdateItem."""
    aws.client("dynamodb").put_item(
        TableName=deployed.outputs["user_table_name"], Item={"id": {"S": sub}, "score": {"N": "7"}}
    )


def _is_complete(item: dict[str, Any] | None, name: str) -> bool:
    expected = {"username": name, "email": f"{name}@example.com", "name": f"Name of {name}", "custom:plan": "gold"}
    return item is not None and (expected | {"status": "CONFIRMED", "score": "7"}).items() <= item.items()


def is_quiet(aws: LocalAws, deployed: Deployment) -> bool:
    """Return whether the retry queue is empty and no execution runs."""
    queue = aws.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["retry_queue_url"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    running = aws.client("stepfunctions").list_executions(
        stateMachineArn=deployed.outputs["user_sync_state_machine_arn"], statusFilter="RUNNING", maxResults=1
    )["executions"]
    return set(queue.values()) == {"0"} and not running


def _failed(aws: LocalAws, deployed: Deployment, subs: set[str]) -> set[str]:
    """Return the subs of failed executions."""
    pages = aws.client("stepfunctions").get_paginator("list_executions")
    machine = deployed.outputs["user_sync_state_machine_arn"]
    names = {
        execution["name"]
        for page in pages.paginate(stateMachineArn=machine, statusFilter="FAILED")
        for execution in page["executions"]
    }
    return {sub for sub in subs if f"sign-up-{sub}" in names}


def _trigger_log(aws: LocalAws, deployed: Deployment) -> list[str]:
    function = deployed.outputs["post_confirmation_function_arn"].rpartition(":")[2]
    return aws.logs().get(function, [])


def _logged(lines: list[str]) -> dict[str, list[str]]:
    """Return the JSON lines of a log by sub."""
    logged = defaultdict(list)
    for line in lines:
        if line.startswith("{"):
            logged[json.loads(line).get("sub", "")].append(line)
    return logged


def _queued(logged: dict[str, list[str]], subs: Iterable[str]) -> Iterator[str]:
    """Yield the last error of StartExecution for each request that was queued."""
    for sub in subs:
        lines = [json.loads(line) for line in logged[sub]]
        if any(line["message"] == "queued for retry" for line in lines):
            yield [line["error"] for line in lines if line["message"] == "execution not started"][-1]
