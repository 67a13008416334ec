"""The command `types`: the types hold for every item that the module writes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws
from mypy import api
from typer.testing import CliRunner

from cognito_user_sync.item_layout import ItemLayout
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, UserTable
from cognito_user_sync_cli.app import app
from cognito_user_sync_cli.item_types import Language, source
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import FakeAws
from tests.page_code import blocks
from tests.samples import POOL_ID, SUB, TABLE, outputs, table_definition
from tests.unit.test_cli_users import answer_with
from tests.unit.test_user_table import SINGLE_TABLE, at, in_groups, read

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTRIBUTES = ("name", "email", "custom:plan")
WITH_INDEX = ItemLayout(
    POOL_ID,
    ATTRIBUTES,
    extra_attributes={"email_lower": "{email|lower}", "owner": "{sub}::{username}"},
    index_keys=frozenset({"email_lower"}),
)
VALUES: dict[str, Any] = {"name": "Ada", "email": "Ada@example.com", "custom:plan": "gold"}


@pytest.fixture(params=[WITH_INDEX, SINGLE_TABLE], ids=["own", "single-table"])
def table(request: pytest.FixtureRequest, session: boto3.Session) -> Iterator[UserTable]:
    layout: ItemLayout = dataclasses.replace(request.param, sync_groups=True)
    with mock_aws():
        client = session.client("dynamodb")
        client.create_table(**table_definition(layout=layout))
        yield UserTable(client, TABLE, layout, is_own=request.param is WITH_INDEX)


def item_of(table: UserTable) -> dict[str, Any]:
    """Return the user's item as the resource of boto3 does."""
    item = table.client.get_item(TableName=TABLE, Key=table.layout.key(SUB))["Item"]
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def typed_dict(name: str, layout: ItemLayout) -> Any:
    names: dict[str, Any] = {}
    exec(source(layout, Language.PYTHON), names)
    return names[name]


def wrong_types(item: dict[str, Any], typed: Any) -> list[str]:
    kinds = {name: get_origin(kind) or kind for name, kind in get_type_hints(typed).items()}
    return [name for name, value in item.items() if not isinstance(value, kinds[name])]


def test_types_of_active_user_are_exact(table: UserTable) -> None:
    typed = typed_dict("User", table.layout)
    table.write(read(1))
    assert item_of(table).keys() == typed.__required_keys__
    table.write(in_groups(read(2, **VALUES), 2, "a"))
    item = item_of(table)
    assert item.keys() == typed.__required_keys__ | typed.__optional_keys__
    assert wrong_types(item, typed) == []


def test_types_of_deleted_user_hold_for_every_action(table: UserTable) -> None:
    typed = typed_dict("DeletedUser", table.layout)
    found: list[dict[str, Any]] = []
    for action in (DeletedUsers.MARK, DeletedUsers.DELETE, DeletedUsers.DELETE_ITEM):
        deleting = dataclasses.replace(table, deletion=DeletionPolicy(action, 30))
        table.client.delete_item(TableName=TABLE, Key=table.layout.key(SUB))
        table.write(in_groups(read(1, **VALUES), 1, "a"))
        deleting.delete(SUB, at(2), deleting.read([SUB])[SUB])
        found.append(item_of(table))
        assert wrong_types(found[-1], typed) == []
    assert set.intersection(*map(set, found)) == typed.__required_keys__
    assert set.union(*map(set, found)) <= typed.__required_keys__ | typed.__optional_keys__
    assert table.layout.name("shard") not in get_type_hints(typed)


# Strict mypy reports an "ignore" that it does not need.
SAMPLE = """
from decimal import Decimal

from user_item import DeletedUser, User


def names(user: User) -> set[str]:
    return user["synced_attributes"] | {user["username"]}


def expiry(user: DeletedUser) -> Decimal | None:
    return user.get("expires_at")


def deletion(user: User) -> object:
    return user["deleted_at"]  # type: ignore[typeddict-item]


deleted: DeletedUser = {"id": "", "user_pool_id": "", "deleted_at": ""}
active: User = {"id": "", "user_pool_id": ""}  # type: ignore[typeddict-item]
"""


def test_types_for_python_pass_mypy(tmp_path: Path) -> None:
    layout = ItemLayout(POOL_ID, ATTRIBUTES)
    (tmp_path / "user_item.py").write_text(source(layout, Language.PYTHON))
    (tmp_path / "page.py").write_text(blocks("python")[-1])
    (tmp_path / "sample.py").write_text(SAMPLE)
    # The sources are not the project's, and neither is the configuration.
    options = ["--strict", "--config-file=", "--cache-dir=/dev/null", "--no-site-packages"]
    assert api.run([*options, str(tmp_path)])[:2] == ("Success: no issues found in 3 source files\n", "")


def test_types_reads_layout_of_deployment(aws: FakeAws, tmp_path: Path) -> None:
    answer_with(aws, layout=SINGLE_TABLE)
    result = invoke(tmp_path, outputs(), "types", "--language", "typescript")
    assert result.stdout == source(SINGLE_TABLE, Language.TYPESCRIPT) + "\n"
    assert "  plan?: string;\n" in result.stdout


def test_types_of_given_attributes_needs_no_deployment() -> None:
    result = CliRunner().invoke(
        app, ["types", "--language", "python", "--attribute", "name", "--attribute", "custom:é"]
    )
    assert result.output == source(ItemLayout("", ("name", "custom:é")), Language.PYTHON) + "\n"


def test_types_of_given_attributes_have_groups_on_request() -> None:
    arguments = ["types", "--language", "typescript", "--sync-groups"]
    result = CliRunner().invoke(app, [*arguments, "--attribute", "name"])
    assert "  groups?: Set<string>;\n  groups_observed_at?: string;\n" in result.output
    # Of a deployment, they are known.
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_page_shows_what_its_command_prints() -> None:
    printed = source(ItemLayout("", ("name", "custom:plan")), Language.TYPESCRIPT)
    (shown,) = (block for block in blocks("ts") if block.startswith("/**"))
    assert shown in printed
