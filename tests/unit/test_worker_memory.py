"""What a worker holds of the largest shards fits into its function's memory, with all of boto3 under it.

The test runs this file as a process of its own, which stands for the function: what pytest and the tests before it have
taken does not count.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

USERS = 200_000
PREFIX = "b"
PAGE = 60
# As many ids as fit into the megabyte that DynamoDB reads for a Query.
IDS = 22_000
MEGABYTE = 1024 * 1024

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "USER_POOL_ID": "eu-central-1_abcdefghi",
    "USER_TABLE_NAME": "users",
    "ATTRIBUTES": "[]",
    "INDEX_KEYS": "[]",
    "DELETED_USERS": "mark",
    "PYTHONPATH": os.pathsep.join(str(ROOT / sources) for sources in ("lambda_src", "")),
}
MOMENT = "2026-01-01T00:00:00.000Z"


def test_a_shard_of_200_000_users_fits_into_256_megabytes() -> None:
    worker = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=300, env=os.environ | ENVIRONMENT
    )
    assert worker.returncode == 0, worker.stderr
    report = json.loads(worker.stdout)
    pages = -(-USERS // PAGE)
    assert report["calls"] == {"ListUsers": pages, "BatchGetItem": pages, "Query": -(-USERS // IDS)}
    assert report["left"] == []
    assert 50 * MEGABYTE < report["peak_bytes"] < 256 * MEGABYTE


def _sub(number: int) -> str:
    return f"{PREFIX}{number:07x}-40f1-4abc-8def-{number:012x}"


def _number(sub: str) -> int:
    return int(sub[1:8], 16)


def _listed(number: int) -> str:
    return (
        f'{{"Username":"user-{number}","UserStatus":"CONFIRMED","Enabled":true,"UserCreateDate":1767225600,'
        f'"UserLastModifiedDate":1767225600,"Attributes":[{{"Name":"sub","Value":"{_sub(number)}"}}]}}'
    )


def _item(key: dict[str, Any]) -> str:
    sub = key["id"]["S"]
    return (
        f'{{"id":{{"S":"{sub}"}},"username":{{"S":"user-{_number(sub)}"}},"status":{{"S":"CONFIRMED"}},'
        f'"enabled":{{"BOOL":true}},"shard":{{"S":"{PREFIX}"}},'
        f'"cognito_created_at":{{"S":"{MOMENT}"}},"cognito_modified_at":{{"S":"{MOMENT}"}}}}'
    )


def _list_users(body: dict[str, Any]) -> str:
    start = int(body.get("PaginationToken", 0))
    end = min(start + PAGE, USERS)
    token = f',"PaginationToken":"{end}"' if end < USERS else ""
    return f'{{"Users":[{",".join(map(_listed, range(start, end)))}]{token}}}'


def _batch_get_item(body: dict[str, Any]) -> str:
    keys = body["RequestItems"]["users"]["Keys"]
    return f'{{"Responses":{{"users":[{",".join(map(_item, keys))}]}},"UnprocessedKeys":{{}}}}'


def _query(body: dict[str, Any]) -> str:
    last = body.get("ExclusiveStartKey")
    start = _number(last["id"]["S"]) + 1 if last else 0
    end = min(start + IDS, USERS)
    items = ",".join(f'{{"id":{{"S":"{_sub(number)}"}}}}' for number in range(start, end))
    key = {"id": {"S": _sub(end - 1)}, "shard": {"S": PREFIX}}
    return f'{{"Items":[{items}]{f""","LastEvaluatedKey":{json.dumps(key)}""" if end < USERS else ""}}}'


ANSWERS = {"ListUsers": _list_users, "BatchGetItem": _batch_get_item, "Query": _query}


def _peak_bytes() -> int:
    """Of this process alone: ru_maxrss begins, on Linux, with what the process had that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _work() -> None:
    """Be the function, on a network that makes its answers up: every user has an item already."""
    from cognito_user_sync.handlers import reconcile_shards
    from tests.unit.fakes import FakeContext, _Raw

    calls: Counter[str] = Counter()

    def send(request: Any, event_name: str, **_: Any) -> Any:
        operation = event_name.rpartition(".")[2]
        calls[operation] += 1
        body = request.body.read() if hasattr(request.body, "read") else request.body
        headers: Any = {}
        return AWSResponse(request.url, 200, headers, _Raw(ANSWERS[operation](json.loads(body)).encode()))

    session = boto3.Session()
    session.events.register("before-send", send)
    boto3.DEFAULT_SESSION = session
    # The pace is set so high that it takes no time.
    result = reconcile_shards.handler({"prefixes": [PREFIX], "pages_per_second": 1e9}, FakeContext(900.0))
    print(json.dumps({"calls": calls, "left": result["prefixes"], "peak_bytes": _peak_bytes()}))


if __name__ == "__main__":
    _work()
