"""Many sign-ups while a share of all calls fails at random, and what became of each of them."""

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

# Every call that the module makes, or that AWS makes for it, from the trigger on. Not Cognito's own invocation of the
# trigger: where Lambda refuses that, Cognito tells the user, whatever the function would have done.
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
# How a call fails; `after`: it takes effect first. A service that answers "throttled" or "denied" did nothing.
WAYS: list[dict[str, Any]] = [
    {"fault": "throttle"},
    {"fault": "500"},
    {"fault": "500", "after": True},
    {"fault": "reset"},
    {"fault": "reset", "after": True},
    {"fault": "access_denied"},
]
SHARE = 0.2


def rules(seed: int) -> list[Fault]:
    """Each call fails with the probability SHARE, in each of WAYS alike: the first rule that fires decides, and so a
    later one needs a higher rate."""
    each = SHARE / len(WAYS)
    return [
        {**call, **way, "rate": each / (1 - position * each), "seed": seed * 1000 + number * 10 + position}  # type: ignore[typeddict-item]
        for number, call in enumerate(CALLS)
        for position, way in enumerate(WAYS)
    ]


@dataclass(frozen=True)
class Figures:
    """What became of the users: numbers, what the users saw, and what the trigger logged about those who are lost."""

    confirmed: int
    errors: list[str]
    parked: dict[str, int]  # by the last error of StartExecution
    given_up: int
    redriven: int
    synced: int
    greeted_once: int
    greeted_twice: int
    outcome_unknown: int
    unknown_and_greeted: int
    lost: dict[str, list[str]]  # by sub

    def table(self) -> str:
        """As Markdown."""
        rows = {
            "confirmed their sign-up": self.confirmed,
            "saw an error": len(self.errors),
            "had their request parked in the queue, and replayed": sum(self.parked.values()),
            **{f"... after `{error}` of StartExecution": number for error, number in sorted(self.parked.items())},
            "were let through with an ERROR line: StartExecution and SendMessage failed": self.given_up,
            "had a failed execution redriven (`cognito-user-sync failures redrive`)": self.redriven,
            "are in the table, with the right attributes and what the application keeps there": self.synced,
            "were greeted once": self.greeted_once,
            "were greeted twice": self.greeted_twice,
            "have an execution parked with an unknown outcome of the welcome": self.outcome_unknown,
            "... of these were greeted": self.unknown_and_greeted,
            "are lost: not in the table, or neither greeted nor parked": len(self.lost),
        }
        return "\n".join(["| people who | |", "|---|--:|", *(f"| {row} | {number} |" for row, number in rows.items())])


def warm_up(aws: LocalAws, pool: Pool, deployed: Deployment) -> None:
    """Let each function start its processes: on one machine, cold starts take the processor from the trigger."""
    aws.set_faults([{"operation": "states:StartExecution", "fault": "throttle", "rate": 0.5, "seed": 0}])
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: _sign_up(aws, pool, deployed, f"{CANARY}-warm-{number}"), range(64)))
    aws.clear_faults()
    eventually(lambda: is_quiet(aws, deployed), seconds=600)


def storm(aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator, users: int, seed: int) -> Figures:
    """Let `users` sign up while calls fail, then clear the faults and do what the documentation says."""
    prefix = f"{CANARY}-{seed}-{users}"
    names = [f"{prefix}-{number}" for number in range(users)]
    logged_before = len(_trigger_log(aws, deployed))
    aws.set_faults(rules(seed))
    with ThreadPoolExecutor(8) as people:
        signed_up = list(people.map(lambda name: _sign_up(aws, pool, deployed, name), names))
    aws.clear_faults()
    subs = {name: sub for name, (sub, _) in zip(names, signed_up, strict=True)}

    redriven = 0
    while True:
        eventually(lambda: is_quiet(aws, deployed), seconds=600)
        said = operator("failures", "redrive")
        now = int(said.split(maxsplit=1)[0])
        if not now:
            break
        redriven += now

    welcomes = Counter(mail.to[0] for mail in aws.outbox() if "welcome@" in mail.source)
    unknown = _ended_badly(aws, deployed, set(subs.values()))
    right = {name for name, sub in subs.items() if _is_right(deployed.item(sub), name)}
    greeted = {name: welcomes[f"{name}@example.com"] for name in names}
    lines = _trigger_log(aws, deployed)[logged_before:]
    logged = _logged(lines)
    return Figures(
        confirmed=users,
        errors=[error for _, error in signed_up if error],
        parked=dict(Counter(_parked(logged, subs.values()))),
        given_up=sum("neither started nor parked" in line for line in lines),
        redriven=redriven,
        synced=len(right),
        greeted_once=sum(count == 1 for count in greeted.values()),
        greeted_twice=sum(count > 1 for count in greeted.values()),
        outcome_unknown=len(unknown),
        unknown_and_greeted=sum(greeted[name] == 1 for name in names if subs[name] in unknown),
        lost={
            subs[name]: logged[subs[name]]
            for name in names
            if name not in right or (not greeted[name] and subs[name] not in unknown)
        },
    )


def _sign_up(aws: LocalAws, pool: Pool, deployed: Deployment, name: str) -> tuple[str, str]:
    """The sub, and the error that the user saw, if any. The application has written to the item before we do."""
    sub = pool.sign_up(name, email=f"{name}@example.com", name=f"Name of {name}", custom__plan="gold")
    keep_score(aws, deployed, sub)
    try:
        pool.confirm(name)
    except (ClientError, BotoCoreError) as error:
        return sub, str(error)
    return sub, ""


def keep_score(aws: LocalAws, deployed: Deployment, sub: str) -> None:
    """What the application keeps in the item. (PutItem: the faults are UpdateItem's.)"""
    aws.client("dynamodb").put_item(
        TableName=deployed.outputs["user_table_name"], Item={"id": {"S": sub}, "score": {"N": "7"}}
    )


def _is_right(item: dict[str, Any] | None, name: str) -> bool:
    expected = {"username": name, "email": f"{name}@example.com", "name": f"Name of {name}", "custom:plan": "gold"}
    return item is not None and (expected | {"status": "CONFIRMED", "score": "7"}).items() <= item.items()


def is_quiet(aws: LocalAws, deployed: Deployment) -> bool:
    """No message waits, and no execution runs."""
    queue = aws.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["retry_queue_url"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    running = aws.client("stepfunctions").list_executions(
        stateMachineArn=deployed.outputs["user_sync_state_machine_arn"], statusFilter="RUNNING", maxResults=1
    )["executions"]
    return set(queue.values()) == {"0"} and not running


def _ended_badly(aws: LocalAws, deployed: Deployment, subs: set[str]) -> set[str]:
    """The subs whose execution has failed for good."""
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
    """The JSON lines of a log, by the sub that they name."""
    logged = defaultdict(list)
    for line in lines:
        if line.startswith("{"):
            logged[json.loads(line).get("sub", "")].append(line)
    return logged


def _parked(logged: dict[str, list[str]], subs: Iterable[str]) -> Iterator[str]:
    """The last error of StartExecution for each request that was parked."""
    for sub in subs:
        lines = [json.loads(line) for line in logged[sub]]
        if any(line["message"] == "queued for retry" for line in lines):
            yield [line["error"] for line in lines if line["message"] == "execution not started"][-1]
