"""The shapes of docs/table.md on an application's tables: what is written, and that nothing else is touched.

One apply for three deployments: two pools share a single-table design, and a third one has a table of AppSync.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2
import pytest

from local_aws.client import Fault, LocalAws
from tests.deployed import (
    CANARY,
    DEPLOYMENT,
    ROOT,
    Deployment,
    Operator,
    Pool,
    Terraform,
    eventually,
    make_pool,
    make_users,
)

Item = dict[str, Any]
"""As DynamoDB has it, with types."""

PAGE = (ROOT / "docs" / "table.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- shape: ([a-z ]+) -->\n\n```hcl\n(.*?)```\n", PAGE, re.DOTALL))
SINGLE_TABLE, APPSYNC = "app", "User-abcdefghijklmnopqrstuvwxyz-dev"
# What this module writes with either shape, besides the keys.
PREFIXED = [
    *("username", "status", "enabled", "cognito_created_at", "cognito_modified_at", "observed_at", "synced_at"),
    *("shard", "user_pool_id", "synced_attributes", "deleted_at", "name", "email", "custom:plan"),
]
OURS = {
    SINGLE_TABLE: {*(f"cognito_{name}" for name in PREFIXED), "entity", "GSI1PK", "GSI1SK"},
    APPSYNC: {
        *(f"cognito_{name}" for name in PREFIXED),
        *("name", "emailAddress", "plan", "createdAt", "updatedAt", "__typename", "owner"),
    },
}
CODE_BUCKET = "code-of-shapes"
USERS = 24
ROUNDS = 10
NO_ALARMS = {
    name: {"enabled": False}
    for name in (
        *("trigger-errors", "trigger-throttles", "trigger-duration", "user-sync-failed", "user-sync-timed-out"),
        *("sync-user-failing", "send-welcome-failing"),
        *("retry-age", "retry-dead-letter", "changes-undelivered", "changes-lost", "changes-dead-letter"),
        *("reconciliation-failed", "reconciliation-timed-out", "reconciliation-overdue"),
    )
}
FAULTS: list[Fault] = [
    {"operation": "dynamodb:UpdateItem", "fault": "throttle", "rate": 0.1, "seed": 1},
    {"operation": "dynamodb:BatchGetItem", "fault": "500", "rate": 0.1, "seed": 2},
    {"operation": "dynamodb:Query", "fault": "throttle", "rate": 0.1, "seed": 3},
    {"operation": "cognito-idp:ListUsers", "fault": "throttle", "rate": 0.2, "seed": 4},
    {"operation": "cognito-idp:AdminGetUser", "fault": "500", "rate": 0.2, "seed": 5},
    # A worker does its work, and its answer is lost: it works again.
    {
        "operation": "lambda:InvokeFunction",
        "function": "reconcile-shards",
        "fault": "reset",
        "after": True,
        "rate": 0.2,
        "seed": 6,
    },
]


@dataclass
class Scene:
    """A pool, its deployment's name, and the table of the application."""

    aws: LocalAws
    pool: Pool
    name: str
    table: str
    usernames: dict[str, str]
    """By sub, of the users whom the pool has."""
    deleted: set[str] = field(default_factory=set)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def deployed(self) -> Deployment:
        return Deployment(self.aws, self.outputs)

    def key(self, sub: str) -> Item:
        return key_in(self.table, sub)

    def item(self, sub: str) -> Item | None:
        answer = self.aws.client("dynamodb").get_item(TableName=self.table, Key=self.key(sub), ConsistentRead=True)
        found: Item | None = answer.get("Item")
        return found

    def items(self) -> dict[str, Item]:
        """All items that name this pool, by sub."""
        found = [
            item
            for item in scan(self.aws, self.table).values()
            if item.get("cognito_user_pool_id") == {"S": self.pool.id}
        ]
        return {item["PK" if self.table == SINGLE_TABLE else "id"]["S"].removeprefix("USER#"): item for item in found}

    def make_user(self, username: str) -> None:
        """As an administrator: no trigger is invoked."""
        made = self.pool.cognito.admin_create_user(
            UserPoolId=self.pool.id,
            Username=username,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": f"{username}@Example.com"}],
        )
        attributes = {each["Name"]: each["Value"] for each in made["User"]["Attributes"]}
        self.usernames[attributes["sub"]] = username

    def change_user(self, sub: str, **attributes: str) -> None:
        self.pool.cognito.admin_update_user_attributes(
            UserPoolId=self.pool.id,
            Username=self.usernames[sub],
            UserAttributes=[{"Name": name.replace("__", ":"), "Value": value} for name, value in attributes.items()],
        )

    def delete_user(self, sub: str) -> None:
        self.pool.cognito.admin_delete_user(UserPoolId=self.pool.id, Username=self.usernames.pop(sub))
        self.deleted.add(sub)


def key_in(table: str, sub: str) -> Item:
    return {"PK": {"S": f"USER#{sub}"}, "SK": {"S": "PROFILE"}} if table == SINGLE_TABLE else {"id": {"S": sub}}


def scan(aws: LocalAws, table: str) -> dict[str, Item]:
    """All items, by key."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {name_of(item): item for page in pages for item in page["Items"]}


def name_of(item: Item) -> str:
    """The key of an item, in one text."""
    return " ".join(item[name]["S"] for name in ("PK", "SK", "id") if name in item)


def foreign(table: str, items: Mapping[str, Item]) -> dict[str, Item]:
    """What is not this module's. Items that have nothing else than a key are left out."""
    keys = {"PK", "SK", "id"}
    parts = {
        key: {name: value for name, value in item.items() if name not in OURS[table]} for key, item in items.items()
    }
    return {key: part for key, part in parts.items() if part.keys() - keys}


# --- the application


def create_table(aws: LocalAws, name: str, keys: list[str], indexes: Mapping[str, list[str]]) -> None:
    def schema(names: list[str]) -> list[dict[str, str]]:
        return [{"AttributeName": each, "KeyType": kind} for each, kind in zip(names, ("HASH", "RANGE"), strict=False)]

    defined = sorted({*keys, *(each for names in indexes.values() for each in names)})
    aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in defined],
        KeySchema=schema(keys),
        GlobalSecondaryIndexes=[
            {"IndexName": index, "KeySchema": schema(names), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, names in indexes.items()
        ],
    )


def application_writes(aws: LocalAws, table: str, sub: str) -> None:
    """An item of the application for a user, with attributes that are named like this module's."""
    in_every_table = {
        "status": {"N": "3"},
        "enabled": {"S": "since Monday"},
        "username": {"SS": ["a", "b"]},
        "email": {"S": "theirs"},
        "user_pool_id": {"NULL": True},
        "shard": {"N": "7"},
        "deleted_at": {"S": "2020-01-01"},
        "expires_at": {"N": "99999999999"},
        "avatar": {"B": b"\x00\xff"},
        "settings": {"M": {"theme": {"S": ""}, "sizes": {"L": [{"N": "1.50"}, {"BOOL": False}]}}},
    }
    of_appsync = {"_version": {"N": "2"}, "emailAddress": {"S": "earlier"}, "updatedAt": {"S": "earlier"}}
    aws.client("dynamodb").put_item(
        TableName=table,
        Item={**key_in(table, sub), **in_every_table, **(of_appsync if table == APPSYNC else {})},
    )


def application_items_of_no_user(aws: LocalAws, subs: list[str]) -> None:
    dynamodb = aws.client("dynamodb")
    for sub in subs[:5]:
        order = {"PK": {"S": f"USER#{sub}"}, "SK": {"S": "ORDER#1"}, "total": {"N": "12.30"}}
        dynamodb.put_item(TableName=SINGLE_TABLE, Item=order | {"GSI1PK": {"S": "ORDERS"}, "GSI1SK": {"S": sub}})
    dynamodb.put_item(TableName=SINGLE_TABLE, Item={"PK": {"S": "ORG#1"}, "SK": {"S": "PROFILE"}})
    dynamodb.put_item(TableName=APPSYNC, Item={"id": {"S": "not a user"}, "__typename": {"S": "User"}})


# --- the deployments


@pytest.fixture(scope="module")
def scenes(aws: LocalAws) -> dict[str, Scene]:
    create_table(
        aws,
        SINGLE_TABLE,
        ["PK", "SK"],
        {"GSI1": ["GSI1PK", "GSI1SK"], "by_shard": ["cognito_shard", "PK"]},
    )
    create_table(aws, APPSYNC, ["id"], {"by_shard": ["cognito_shard", "id"]})
    found = {}
    for name, table in (("single-a", SINGLE_TABLE), ("single-b", SINGLE_TABLE), ("appsync", APPSYNC)):
        pool = make_pool(aws)
        found[name] = Scene(aws, pool, name, table, make_users(pool, USERS))
        for sub in list(found[name].usernames)[::2]:
            application_writes(aws, table, sub)
    application_items_of_no_user(aws, list(found["single-a"].usernames))
    return found


@pytest.fixture(scope="module")
def before(aws: LocalAws, scenes: dict[str, Scene]) -> dict[str, dict[str, Item]]:
    """The tables before this module is applied to them."""
    return {table: scan(aws, table) for table in OURS}


@pytest.fixture(scope="module")
def pools_before(scenes: dict[str, Scene]) -> dict[str, dict[str, Any]]:
    return {name: scene.pool.configuration() for name, scene in scenes.items()}


@pytest.fixture(scope="module")
def terraform(
    aws: LocalAws,
    scenes: dict[str, Scene],
    before: dict[str, dict[str, Item]],
    pools_before: dict[str, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Terraform:
    aws.client("s3").create_bucket(Bucket=CODE_BUCKET)
    folder = tmp_path_factory.mktemp("shapes").resolve()
    (folder / "main.tf").write_text("\n".join(module_call(folder, scene) for scene in scenes.values()))
    run = Terraform(folder, folder / "data", folder / "terraform.tfstate")
    run("init")
    # Most of an apply is waiting for queues.
    run("apply", "-auto-approve", "-parallelism=40")
    for name, scene in scenes.items():
        scene.outputs = run.outputs()[name]
    return run


def module_call(folder: Path, scene: Scene) -> str:
    """The block of the page, with what a deployment needs besides."""
    block = BLOCKS["appsync" if scene.table == APPSYNC else "single table"]
    return f"""
module "{scene.name}" {{
  source        = "{os.path.relpath(ROOT, folder)}"
  user_pool_id  = "{scene.pool.id}"
  name          = "{scene.name}"
  stage         = "test"
  track_changes = {json.dumps(scene.name != "single-b")}
  alarms        = {json.dumps(NO_ALARMS)}
  # The provider creates one function at a time from local files.
  lambda        = {{ code_bucket = "{CODE_BUCKET}" }}

{block}
}}

output "{scene.name}" {{
  value = module.{scene.name}
}}
"""


@pytest.fixture(autouse=True)
def applied(terraform: Terraform) -> None:
    pass


@pytest.fixture(autouse=True)
def nothing_of_the_application_is_touched(
    aws: LocalAws, applied: None, before: dict[str, dict[str, Item]]
) -> Iterator[None]:
    """After each test, byte for byte. A test that lets the application write adds it to `before`."""
    yield
    for table, items in before.items():
        assert foreign(table, scan(aws, table)) == foreign(table, items)


# --- the tests


def test_shape_of_the_modules_own_table_is_deployed() -> None:
    """By test_main_job.py and test_every_user.py."""
    (call,) = hcl2.loads((DEPLOYMENT / "main.tf").read_text())["module"]
    shown = hcl2.loads(BLOCKS["own"])
    (deployed,) = call.values()
    assert deployed["attributes"] == shown["attributes"]
    assert deployed["table"] == {**shown["table"], "deletion_protection": False}


def test_first_run_is_a_dry_run(
    aws: LocalAws, scenes: dict[str, Scene], before: dict[str, dict[str, Item]], tmp_path: Path
) -> None:
    for scene in scenes.values():
        first = scene.outputs["first_run"]
        assert first["dry_run"] is True
        ended = scene.deployed.ended(first["execution_arn"])
        assert ended["status"] == "SUCCEEDED", ended
        assert CANARY not in ended["output"]
        summary = json.loads(ended["output"])
        # What the application has already under the names of this module makes an item to be updated.
        updated = USERS // 2 if scene.table == APPSYNC else 0
        counts = {name: summary[name] for name in ("listed", "created", "updated", "other_pool", "deleted")}
        assert counts == {
            "listed": USERS,
            "created": USERS - updated,
            "updated": updated,
            "other_pool": 0,
            "deleted": 0,
        }
        assert summary["dry_run"] is True
        examples = summary["examples"]
        assert len(examples) == 10
        for example in examples:
            assert example["sub"] in scene.usernames
            assert {*example["adds"], *example["replaces"]} <= OURS[scene.table]
            assert example["removes"] == []
            assert example["replaces"] in ([], ["emailAddress", "updatedAt"])
    assert {table: scan(aws, table) for table in before} == before

    operator = Operator.of(scenes["appsync"].deployed, tmp_path)
    said = operator("status", expect=1)
    assert "the last reconciliation was a dry run and wrote nothing" in said
    assert "emailAddress" in said
    schedules = aws.client("scheduler")
    given = schedules.get_schedule(Name="appsync-test-reconciliation")["Target"]["Input"]
    assert json.loads(given) == {"dry_run": True}


def test_run_of_the_operator_writes_every_user(scenes: dict[str, Scene], tmp_path: Path) -> None:
    for scene in scenes.values():
        operator = Operator.of(scene.deployed, tmp_path)
        operator("reconcile")
        operator("status")
        found = scene.items()
        assert {sub: item["cognito_username"]["S"] for sub, item in found.items()} == scene.usernames


@pytest.mark.parametrize("name", ["single-a", "appsync"])
def test_user_of_shape_is_synced_from_sign_up_to_deletion(
    aws: LocalAws, scenes: dict[str, Scene], before: dict[str, dict[str, Item]], username: str, name: str
) -> None:
    scene = scenes[name]
    email = f"{username.title()}@Example.com"
    sub = scene.pool.sign_up(username, email=email, custom__plan="gold")
    scene.usernames[sub] = username
    # The application is faster than this module.
    application_writes(aws, scene.table, sub)
    own = scene.item(sub) or {}
    before[scene.table][name_of(own)] = own
    scene.pool.confirm(username)
    (execution,) = scene.deployed.settled(sub)
    assert execution["status"] == "SUCCEEDED", execution
    assert written(scene, sub) == expected(scene, sub, username, email=email, custom__plan="gold")

    if scene.table == SINGLE_TABLE:
        answer = aws.client("dynamodb").query(
            TableName=SINGLE_TABLE,
            IndexName="GSI1",
            KeyConditionExpression="GSI1PK = :email",
            ExpressionAttributeValues={":email": {"S": f"EMAIL#{email.lower()}"}},
        )
        assert [item["PK"]["S"] for item in answer["Items"]] == [f"USER#{sub}"]

    scene.change_user(sub, name="Ada", email=f"{username}@example.org")
    ada = expected(scene, sub, username, name="Ada", email=f"{username}@example.org", custom__plan="gold")
    eventually(lambda: written(scene, sub) == ada)
    scene.pool.cognito.admin_delete_user_attributes(
        UserPoolId=scene.pool.id, Username=username, UserAttributeNames=["custom:plan"]
    )
    ada = expected(scene, sub, username, name="Ada", email=f"{username}@example.org")
    eventually(lambda: written(scene, sub) == ada)

    run = scene.deployed.reconcile()
    assert run["status"] == "SUCCEEDED", run
    assert (run["summary"]["unchanged"], run["summary"]["updated"]) == (USERS + 1, 0)

    scene.delete_user(sub)
    eventually(lambda: "cognito_deleted_at" in (scene.item(sub) or {}))
    if scene.table == SINGLE_TABLE:
        assert_tombstone(scene, sub, own)
    else:
        marked = written(scene, sub)
        assert marked.pop("cognito_deleted_at")["S"] > "2020"
        says = {"cognito_status": {"S": "DELETED"}, "cognito_enabled": {"BOOL": False}}
        assert marked == {key: value for key, value in (ada | says).items() if key != "cognito_shard"}


MOMENTS = {
    *("cognito_observed_at", "cognito_synced_at", "cognito_cognito_created_at", "cognito_cognito_modified_at"),
    *("createdAt", "updatedAt"),
}


def written(scene: Scene, sub: str) -> dict[str, Any]:
    """What this module wrote to an item, apart from moments and the key."""
    ours = OURS[scene.table]
    return {name: value for name, value in (scene.item(sub) or {}).items() if name in ours - MOMENTS}


def expected(scene: Scene, sub: str, username: str, **attributes: str) -> dict[str, Any]:
    of_user = {name.replace("__", ":"): value for name, value in attributes.items()}
    if scene.table == SINGLE_TABLE:
        item = {f"cognito_{name}": value for name, value in of_user.items()} | {
            "entity": "User",
            "GSI1PK": f"EMAIL#{of_user['email'].lower()}",
            "GSI1SK": f"USER#{sub}",
        }
    else:
        names = {"name": "name", "email": "emailAddress", "custom:plan": "plan"}
        item = {names[name]: value for name, value in of_user.items()} | {
            "__typename": "User",
            "owner": f"{sub}::{username}",
        }
    item |= {"cognito_username": username, "cognito_status": "CONFIRMED"}
    created_at = {"createdAt"} if scene.table == APPSYNC else {"cognito_cognito_created_at"}
    synced = {*item, "cognito_enabled", "cognito_cognito_modified_at", *created_at}
    item |= {"cognito_user_pool_id": scene.pool.id, "cognito_shard": f"{scene.pool.id}#{sub[0]}"}
    return {
        **{name: {"S": value} for name, value in item.items()},
        "cognito_enabled": {"BOOL": True},
        "cognito_synced_attributes": {"SS": sorted(synced)},
    }


def assert_tombstone(scene: Scene, sub: str, own: Item) -> None:
    """The item is what the application has in it (`own`), and the deletion."""
    item = scene.item(sub) or {}
    assert item.pop("cognito_deleted_at")["S"] > "2020"
    assert item == {**scene.key(sub), **own, "cognito_user_pool_id": {"S": scene.pool.id}}


def test_two_pools_on_one_table_stay_apart_under_faults(
    aws: LocalAws, scenes: dict[str, Scene], before: dict[str, dict[str, Item]]
) -> None:
    """Users come, change and go between ten runs of both reconciliations, side by side."""
    a_and_b = [scenes["single-a"], scenes["single-b"]]
    # Of the changes only the reconciliation hears.
    aws.client("events").disable_rule(Name="single-a-test-changes")
    aws.set_faults(FAULTS)
    try:
        for number in range(ROUNDS):
            for scene in a_and_b:
                for sub in sorted(scene.usernames)[:2]:
                    scene.delete_user(sub)
                # Both pools have users of these names.
                for index in range(2):
                    scene.make_user(f"{CANARY}-round-{number}-{index}")
                for sub in sorted(scene.usernames)[:2]:
                    scene.change_user(sub, name=f"Ada {number}")
            with ThreadPoolExecutor() as threads:
                runs = list(threads.map(lambda scene: scene.deployed.reconcile(), a_and_b))
            for scene, run in zip(a_and_b, runs, strict=True):
                assert run["status"] == "SUCCEEDED", run
                assert run["summary"]["deletion_check_skipped"] is None
                assert_exactly_its_own(scene, before)
            assert foreign(SINGLE_TABLE, scan(aws, SINGLE_TABLE)) == foreign(SINGLE_TABLE, before[SINGLE_TABLE])
    finally:
        fired = aws.faults()
        aws.clear_faults()
    assert all(rule["fired"] for rule in fired), fired


def assert_exactly_its_own(scene: Scene, before: dict[str, dict[str, Item]]) -> None:
    found = scene.items()
    active = {sub: item for sub, item in found.items() if "cognito_deleted_at" not in item}
    assert {sub: item["cognito_username"]["S"] for sub, item in active.items()} == scene.usernames
    assert found.keys() - active.keys() == scene.deleted
    for sub in scene.deleted:
        own = before[scene.table].get(name_of(scene.key(sub)), {})
        assert_tombstone(scene, sub, {name: value for name, value in own.items() if name not in OURS[scene.table]})


def test_destroy_leaves_tables_and_pools(
    aws: LocalAws, terraform: Terraform, scenes: dict[str, Scene], pools_before: dict[str, dict[str, Any]]
) -> None:
    """And the attributes that this module wrote."""
    left = {table: scan(aws, table) for table in OURS}
    terraform("destroy", "-auto-approve", "-parallelism=40")
    assert {table: scan(aws, table) for table in OURS} == left
    assert {name: scene.pool.configuration() for name, scene in scenes.items()} == pools_before
