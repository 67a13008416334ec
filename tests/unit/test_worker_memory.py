"""What a worker holds of the largest shards fits into its function's memory, with all of boto3 under it.

The test runs this file in a separate process, which represents the function: what pytest and the tests before it have
taken does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3

from benchmarks.process_memory import peak_bytes
from cognito_user_sync.item_layout import FROM_COGNITO
from cognito_user_sync.user import timestamp
from tests.fakes.answers import Answer, Response
from tests.fakes.clock import FakeContext
from tests.fakes.cognito_pool import LONG_AGO, MAX_LIMIT, CognitoPool, CognitoUser, NoGroups
from tests.fakes.fake_aws import FakeAws
from tests.fakes.subs import numbered_sub
from tests.samples import POOL_ID, TABLE, environment

# A quarter of the largest shard that is planned.
USERS = 50_000
PREFIX = "b"
FIRST = 0xB0000000
# As many ids as fit into the megabyte that DynamoDB reads for a Query.
IDS = 22_000
MEGABYTE = 1024 * 1024

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "PYTHONPATH": os.pathsep.join(str(ROOT / sources) for sources in ("lambda_src", "")),
    **environment(ATTRIBUTES="[]"),
}
MOMENT = timestamp(LONG_AGO)


def test_shard_of_200_000_users_fits_into_256_megabytes() -> None:
    """Memory grows with the number of users, so four times what this shard takes must fit."""
    worker = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=300, env=os.environ | ENVIRONMENT
    )
    assert worker.returncode == 0, worker.stderr
    report = json.loads(worker.stdout)
    pages = -(-USERS // MAX_LIMIT)
    assert report["calls"] == {"ListUsers": pages, "BatchGetItem": pages, "Query": -(-USERS // IDS)}
    assert report["left"] == []
    assert 0 < report["bytes_before"] < report["peak_bytes"]
    assert report["bytes_before"] + 4 * (report["peak_bytes"] - report["bytes_before"]) < 256 * MEGABYTE


GROUPS_OF_A_BATCH = """
from cognito_user_sync.group_reconciliation import MAX_MEMBERSHIPS, Members
from benchmarks.process_memory import peak_bytes

members = Members()
half = MAX_MEMBERSHIPS // 2
for group, first in (("a", 0), ("b", half)):
    members.add(group, [number.to_bytes(16, "big") for number in range(first, first + half)])
assert members.groups_of("00000000-0000-0000-0000-000000000001") == {"a"}
print(peak_bytes())
"""


def test_memberships_of_the_largest_batch_fit_into_300_megabytes() -> None:
    """The memory of a worker is 1,769 MB. The most memory is for users in one group each."""
    worker = subprocess.run(
        [sys.executable, "-c", GROUPS_OF_A_BATCH],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | ENVIRONMENT,
    )
    assert worker.returncode == 0, worker.stderr
    assert 100 * MEGABYTE < int(worker.stdout) < 300 * MEGABYTE


_SYNCED = f'"synced_attributes":{{"SS":{json.dumps(sorted(FROM_COGNITO))}}}'


class _NumberedUsers(NoGroups):
    """The users of the numbers from FIRST on, none of which is kept."""

    def __len__(self) -> int:
        return USERS

    def positions(self, prefix: str, after: str) -> Iterator[str]:
        assert prefix == PREFIX
        return map(str, range(int(after) + 1 if after else FIRST, FIRST + USERS))

    def listed(self, position: str) -> dict[str, Any]:
        return CognitoUser(numbered_sub(int(position)), f"user-{position}").listed()

    def position_of(self, username: str) -> str:
        return username.removeprefix("user-")


def _item(key: dict[str, Any]) -> str:
    sub = key["id"]["S"]
    return (
        f'{{"id":{{"S":"{sub}"}},"username":{{"S":"user-{int(sub[:8], 16)}"}},"status":{{"S":"CONFIRMED"}},'
        f'"enabled":{{"BOOL":true}},"shard":{{"S":"{POOL_ID}#{PREFIX[0]}"}},"user_pool_id":{{"S":"{POOL_ID}"}},'
        f'"cognito_created_at":{{"S":"{MOMENT}"}},"cognito_modified_at":{{"S":"{MOMENT}"}},{_SYNCED}}}'
    )


def _batch_get_item(body: dict[str, Any]) -> Response:
    items = ",".join(map(_item, body["RequestItems"][TABLE]["Keys"]))
    return Response(f'{{"Responses":{{"{TABLE}":[{items}]}},"UnprocessedKeys":{{}}}}'.encode())


def _query(body: dict[str, Any]) -> Response:
    last = body.get("ExclusiveStartKey")
    start = int(last["id"]["S"][:8], 16) + 1 if last else FIRST
    end = min(start + IDS, FIRST + USERS)
    answer: dict[str, Any] = {"Items": [{"id": {"S": numbered_sub(number)}} for number in range(start, end)]}
    if end < FIRST + USERS:
        answer["LastEvaluatedKey"] = {"id": {"S": numbered_sub(end - 1)}, "shard": {"S": PREFIX}}
    return Response(answer)


def _work() -> None:
    """Be the function, on a network that makes its answers up: every user has an item already."""
    from cognito_user_sync.handlers import reconcile_shards

    calls: Counter[str] = Counter()
    session = boto3.Session()
    aws = FakeAws(session)
    aws.serve(CognitoPool(_NumberedUsers()))
    aws.answers |= {"dynamodb.BatchGetItem": _batch_get_item, "dynamodb.Query": _query}

    def counted(operation: str, answer: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
        def count_and_answer(body: dict[str, Any]) -> Answer:
            calls[operation.rpartition(".")[2]] += 1
            # The memory of the fake is not that of the function.
            aws.calls.clear()
            return answer(body)

        return count_and_answer

    aws.answers = {operation: counted(operation, answer) for operation, answer in aws.answers.items()}
    boto3.DEFAULT_SESSION = session
    # The pace is set so high that it takes no time.
    before = peak_bytes()
    with aws.answering():
        result = reconcile_shards.handler({"prefixes": [PREFIX], "pages_per_second": 1e9}, FakeContext(900.0))
    print(json.dumps({"calls": calls, "left": result["prefixes"], "bytes_before": before, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    _work()
