"""The .tf files match the schemas of both major versions of the AWS provider."""

from __future__ import annotations

import re

import pytest

from tests.provider_schema import ACCEPTED, ROOT, Block, problems, schemas, sources, used_types
from tests.provider_schema import __main__ as renewal

OLDEST, CURRENT = schemas()

EXAMPLE: dict[str, Block] = {
    "aws_queue": {
        "": "",
        "name": "required",
        "arn": "computed",
        "id": "optional, computed, deprecated",
        "old_name": "optional, deprecated",
        "tags": "optional",
        "rule": {"": "optional", "days": "required", "unit": "optional, deprecated"},
    },
    "data.aws_pool": {
        "pool_id": "required",
        "config": {"": "computed", "trigger": "computed", "old": "computed, deprecated"},
    },
}


def found(source: str) -> list[str]:
    """Return the problems of a source, without the place."""
    return [f"{problem.path} {problem.what}" for problem in problems(source, "main.tf", EXAMPLE)]


def queue(arguments: str) -> str:
    return f'resource "aws_queue" "this" {{\n{arguments}\n}}\n'


@pytest.mark.parametrize("version", [OLDEST, CURRENT])
def test_sources_fit_provider(version: str) -> None:
    schema = schemas()[version]
    names = {path: str(path.relative_to(ROOT)) for path in sources()}
    assert [str(each) for path in names for each in problems(path.read_text(), names[path], schema)] == []


def test_schemas_hold_every_type() -> None:
    used = used_types(sources())
    assert len(used) > 20
    assert all(used <= types.keys() for types in schemas().values())


def test_schemas_are_of_supported_versions() -> None:
    """The range of every versions.tf starts at the older of the compared versions and includes the newer one."""
    constraints = {
        match for path in sources() for match in re.findall(r'"hashicorp/aws"\s+version = "(.*)"', path.read_text())
    }
    bounds = {f">= {OLDEST.removesuffix('.0')}", f"< {int(CURRENT.split('.')[0]) + 1}"}
    assert constraints
    assert all(bounds <= set(constraint.split(", ")) for constraint in constraints)


@pytest.mark.parametrize("path", sorted(ACCEPTED))
def test_accepted_deprecation_is_needed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ACCEPTED, path)
    types = schemas()[CURRENT]
    assert any(problem.path == path for each in sources() for problem in problems(each.read_text(), "", types))


def test_no_index_key_suits_every_version() -> None:
    """Up to 6.28, hash_key is required and there is no key_schema. Later, hash_key is deprecated."""
    old, new = (schemas()[version]["aws_dynamodb_table"]["global_secondary_index"] for version in (OLDEST, CURRENT))
    assert isinstance(old, dict)
    assert isinstance(new, dict)
    assert (old["hash_key"], "key_schema" in old) == ("required", False)
    assert ("deprecated" in str(new["hash_key"]), "key_schema" in new) == (True, True)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (queue('name = "a"'), []),
        (
            queue("count = 1\n depends_on = [aws_queue.other]\n name = 1\n lifecycle {\n  ignore_changes = [tags]\n }"),
            [],
        ),
        (queue(""), ["aws_queue.name is required, but not there"]),
        (queue("name = 1\n size = 2"), ["aws_queue.size does not exist"]),
        (queue("name = 1\n arn = 2"), ["aws_queue.arn cannot be set: the provider computes it"]),
        (queue("name = 1\n old_name = 2"), ["aws_queue.old_name is deprecated"]),
        (queue("name = 1\n # old_name = aws_queue.this.old_name"), []),
        (queue("name = 1\n rule {\n  days = 1\n }"), []),
        (queue("name = 1\n rule {\n }"), ["aws_queue.rule.days is required, but not there"]),
        (queue("name = 1\n rule {\n  days = 1\n  unit = 2\n }"), ["aws_queue.rule.unit is deprecated"]),
        (queue("name = 1\n rule {\n  days = 1\n  count = 2\n }"), ["aws_queue.rule.count does not exist"]),
        (queue("name = 1\n tags {\n }"), ["aws_queue.tags is no block"]),
        (
            queue('name = 1\n dynamic "rule" {\n  for_each = [1]\n  content {\n   unit = 1\n  }\n }'),
            ["aws_queue.rule.unit is deprecated", "aws_queue.rule.days is required, but not there"],
        ),
        (
            queue("name = 1\n lifecycle {\n  postcondition {\n   condition = self.id == 1\n  }\n }"),
            ["aws_queue.id is deprecated"],
        ),
        ('output "a" {\n value = aws_queue.this[0].arn\n}', []),
        ('output "a" {\n value = "${aws_queue.this[each.key].old_name}/b"\n}', ["aws_queue.old_name is deprecated"]),
        ('output "a" {\n value = aws_queue.this.url\n}', ["aws_queue.url does not exist"]),
        ('output "a" {\n value = aws_queue.this.tags.url\n}', []),
        ('output "a" {\n value = data.aws_pool.this.config[0].trigger\n}', []),
        ('output "a" {\n value = data.aws_pool.this.config[0].old\n}', ["data.aws_pool.config.old is deprecated"]),
        (
            'data "aws_queue" "this" {\n}',
            ["data.aws_queue is not in tests/provider_schema/schemas.json: run make provider-schema"],
        ),
    ],
)
def test_problems_are_found(source: str, expected: list[str]) -> None:
    assert found(source) == expected


def test_problem_names_its_line() -> None:
    [problem] = problems("\n\n" + queue(""), "modules/a/main.tf", EXAMPLE)
    assert str(problem) == "modules/a/main.tf:3: aws_queue.name is required, but not there"


def test_from_terraform_reads_schema() -> None:
    printed = {
        "provider_schemas": {
            "registry.terraform.io/hashicorp/aws": {
                "resource_schemas": {
                    "aws_queue": {
                        "block": {
                            "attributes": {
                                "name": {"type": "string", "required": True},
                                "id": {"type": "string", "optional": True, "computed": True, "deprecated": True},
                                "rules": {"type": ["list", ["object", {"days": "number"}]], "computed": True},
                            },
                            "block_types": {
                                "one": {"min_items": 1, "block": {"attributes": {}}},
                                "any": {"block": {"attributes": {}, "deprecated": True}},
                            },
                        }
                    }
                },
                "data_source_schemas": {},
            }
        }
    }
    assert renewal.from_terraform(printed, ["aws_queue"]) == {
        "aws_queue": {
            "name": "required",
            "id": "optional, computed, deprecated",
            "rules": {"": "computed", "days": "computed"},
            "one": {"": "required"},
            "any": {"": "optional, deprecated"},
        }
    }
    with pytest.raises(renewal.SchemaError, match="no data.aws_queue"):
        renewal.from_terraform(printed, ["data.aws_queue"])
