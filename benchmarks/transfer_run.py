"""Exports and restores of numbered users, with the code of the command line: their calls, memory and processor time.

Each run is a process, so that its memory is that of the command. botocore is real. The network is not: its responses
are computed from the number of a user, so they need no memory. Waits of a rate limit are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from benchmarks.process_memory import peak_bytes
from tests.fakes.cognito_pool import NoGroups

if TYPE_CHECKING:
    from tests.fakes.answers import Answer
    from tests.fakes.fake_aws import FakeAws

FROM_TABLE: Final = "export from the table"
FROM_POOL: Final = "export from the pool"
RESTORE: Final = "restore, with two groups each, one in ten disabled"
KINDS: Final = (FROM_TABLE, FROM_POOL, RESTORE)
# A restored user is stored on the disk, which takes a moment.
RESTORED_ONE_IN: Final = 100

_ROOT: Final = Path(__file__).parents[1]
# The entries of an index by_shard that fit into the megabyte of a page.
_INDEX_BYTES: Final = 44
_INDEX_PAGE: Final = 1024 * 1024 // _INDEX_BYTES
_GROUPS: Final = ("admins", "staff")
_DISABLED_ONE_IN: Final = 10


@dataclass(frozen=True)
class Transfer:
    """The figures of one run.

    Attributes:
        processor_seconds: CPU time of the run, on the measuring machine, including that of the computed responses.
        peak_bytes: The largest memory of the process.
        read_units: Of DynamoDB on demand.
        file_bytes: The size of the file.
    """

    users: int
    calls: dict[str, int]
    processor_seconds: float
    peak_bytes: int
    read_units: float
    file_bytes: int


def measure(users: int, kinds: tuple[str, ...] = KINDS) -> dict[str, Transfer]:
    """Run each kind in a process. A restore has fewer users. Raises CalledProcessError."""
    return {kind: _measure(max(users // RESTORED_ONE_IN, 20) if kind == RESTORE else users, kind) for kind in kinds}


def _measure(users: int, kind: str) -> Transfer:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "PYTHONPATH": os.pathsep.join(str(_ROOT / sources) for sources in ("cli", "lambda_src", "")),
    }
    run = [sys.executable, "-m", "benchmarks.transfer_run", str(users), kind]
    done = subprocess.run(run, check=True, capture_output=True, text=True, cwd=_ROOT, env=environment)
    return TypeAdapter(Transfer).validate_json(done.stdout)


class _Answers(NoGroups):
    """The responses of Cognito and DynamoDB for `users` numbered users, whose subs are evenly distributed."""

    def __init__(self, users: int) -> None:
        from tests.samples import POOL_ID

        self.pool_id = POOL_ID
        self.users = users
        self._step = 2**32 // users
        self.read_units = 0.0

    def __len__(self) -> int:
        return self.users

    def sub(self, position: int) -> str:
        from tests.fakes.subs import numbered_sub

        return numbered_sub(self.first_number(position))

    def first_number(self, position: int) -> int:
        return position * self._step

    def range(self, prefix: str) -> range:
        """Return the positions of the users whose sub begins with a digit, or of all."""
        if not prefix:
            return range(self.users)
        digit, per_digit = int(prefix, 16), 2**28
        return range(-(-digit * per_digit // self._step), min(self.users, -(-(digit + 1) * per_digit // self._step)))

    def position(self, sub: str) -> int:
        return int(sub[:8], 16) // self._step

    # --- as a store of tests.fakes.cognito_pool

    def positions(self, prefix: str, after: str) -> Iterator[str]:
        found = self.range(prefix)
        return map(str, range(int(after) + 1 if after else found.start, found.stop))

    def listed(self, position: str) -> dict[str, Any]:
        from tests.fakes.cognito_pool import CognitoUser

        attributes = {"email": f"user-{position}@mail.example.com", "name": f"User {position}"}
        return CognitoUser(self.sub(int(position)), f"user-{position}", attributes).listed()

    def position_of(self, username: str) -> str | None:
        return username.removeprefix("user-")

    # --- as a table

    def query(self, body: dict[str, Any]) -> Answer:
        from benchmarks.dynamodb_units import read_units
        from tests.fakes.answers import Response

        found = self.range(body["ExpressionAttributeValues"][":prefix"]["S"])
        last = body.get("ExclusiveStartKey")
        start = self.position(last["id"]["S"]) + 1 if last else found.start
        end = min(start + _INDEX_PAGE, found.stop)
        self.read_units += read_units((end - start) * _INDEX_BYTES)
        answer: dict[str, Any] = {"Items": [{"id": {"S": self.sub(position)}} for position in range(start, end)]}
        if end < found.stop:
            answer["LastEvaluatedKey"] = {"id": {"S": self.sub(end - 1)}, "shard": {"S": "shard"}}
        return Response(answer)

    def batch_get_item(self, body: dict[str, Any]) -> Answer:
        from benchmarks.dynamodb_units import item_bytes, read_units
        from tests.fakes.answers import Response

        ((table, asked),) = body["RequestItems"].items()
        items = [self._item(key["id"]["S"]) for key in asked["Keys"]]
        self.read_units += len(items) * read_units(item_bytes(items[0]))
        return Response({"Responses": {table: items}, "UnprocessedKeys": {}})

    def _item(self, sub: str) -> dict[str, Any]:
        position = self.position(sub)
        moment = {"S": "2026-01-31T12:00:00.000Z"}
        names = ("name", "email", "username", "status", "enabled", "cognito_created_at", "cognito_modified_at")
        return {
            "id": {"S": sub},
            "name": {"S": f"User {position}"},
            "email": {"S": f"user-{position}@mail.example.com"},
            "username": {"S": f"user-{position}"},
            "status": {"S": "CONFIRMED"},
            "enabled": {"BOOL": True},
            **dict.fromkeys(("cognito_created_at", "cognito_modified_at", "observed_at", "synced_at"), moment),
            "user_pool_id": {"S": self.pool_id},
            "shard": {"S": f"{self.pool_id}#{sub[0]}"},
            "synced_attributes": {"SS": sorted(names)},
        }


def _run(users: int, kind: str) -> Transfer:
    """Run the command in this process."""
    import boto3

    from tests.fakes.answers import Response
    from tests.fakes.cognito_pool import CognitoPool, CognitoUser
    from tests.fakes.fake_aws import COGNITO, FakeAws
    from tests.fakes.subs import numbered_sub

    session = boto3.Session()
    aws, answers, calls = FakeAws(session), _Answers(users), Counter[str]()
    aws.serve(CognitoPool(answers))
    # With subs that no user of the table has.
    created = (CognitoUser(numbered_sub(answers.first_number(position) + 1), "") for position in range(users))

    def create(_: dict[str, Any]) -> Answer:
        return Response({"User": next(created).listed()})

    aws.answers |= {"dynamodb.Query": answers.query, "dynamodb.BatchGetItem": answers.batch_get_item}
    aws.answers[f"{COGNITO}.ListGroups"] = lambda _: Response({"Groups": []})
    aws.answers[f"{COGNITO}.AdminCreateUser"] = create
    for operation in ("CreateGroup", "AdminAddUserToGroup", "AdminDisableUser"):
        aws.answers[f"{COGNITO}.{operation}"] = lambda _: Response({})
    aws.answers = {name: partial(_counted, aws, calls, name, answer) for name, answer in aws.answers.items()}
    boto3.DEFAULT_SESSION = session
    with aws.answering(), tempfile.TemporaryDirectory() as folder:
        began_at = time.process_time()
        file = _restore(Path(folder), answers) if kind == RESTORE else _export(Path(folder), answers, kind)
        seconds = time.process_time() - began_at
        lines = file.read_bytes().count(b"\n") if users <= 10_000 else None
        assert lines is None or lines >= users
        return Transfer(users, dict(calls), seconds, peak_bytes(), answers.read_units, file.stat().st_size)


def _counted(
    aws: FakeAws, calls: Counter[str], name: str, answer: Callable[[dict[str, Any]], Answer], body: dict[str, Any]
) -> Answer:
    calls[name.rpartition(".")[2]] += 1
    # The memory of the fake is not that of the command.
    aws.calls.clear()
    return answer(body)


def _export(folder: Path, answers: _Answers, kind: str) -> Path:
    import boto3

    from cognito_user_sync import settings
    from cognito_user_sync.rate_limit import RateLimiter
    from cognito_user_sync.user_pool import UserPool
    from cognito_user_sync_cli.export_formats import JsonLines
    from cognito_user_sync_cli.user_export import Export
    from cognito_user_sync_cli.user_records import PoolSource, Source, TableSource
    from tests.samples import environment

    source: Source
    if kind == FROM_TABLE:
        source = TableSource(settings.user_table(boto3.client("dynamodb"), environment()))
    else:
        source = PoolSource(UserPool(boto3.client("cognito-idp"), answers.pool_id), RateLimiter(1e9))
    file = folder / "users.jsonl"
    Export(file, {}).run(source, JsonLines(), lambda _: None)
    return file


def _restore(folder: Path, answers: _Answers) -> Path:
    import boto3

    from cognito_user_sync_cli.restoration import Options, Restoration
    from cognito_user_sync_cli.restore_map import RestoreMap
    from cognito_user_sync_cli.target_pool import TargetPool
    from cognito_user_sync_cli.user_records import UserRecord

    target = TargetPool("eu-central-1_target", {"email": {}, "name": {}})
    file = folder / "map.csv"

    def records() -> Iterator[UserRecord]:
        for position in range(answers.users):
            attributes = {"email": f"user-{position}@mail.example.com", "name": f"User {position}"}
            enabled = position % _DISABLED_ONE_IN != 0
            yield UserRecord(
                answers.sub(position), f"user-{position}", "CONFIRMED", enabled, attributes, groups=_GROUPS
            )

    job = Restoration(boto3.client("cognito-idp"), target, RestoreMap(file, target.id), Options(), 1e9)
    job.run(records(), lambda *_: None)
    return file


if __name__ == "__main__":
    print(json.dumps(asdict(_run(int(sys.argv[1]), sys.argv[2]))))
