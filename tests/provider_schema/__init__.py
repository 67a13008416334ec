"""The AWS provider's schema, for the resources and data sources that this repository uses.

schemas.json has it for the oldest supported version of the provider and for a current one. `make provider-schema`
renews it. `make check` compares every .tf file with both: each attribute and block must exist and must not be
deprecated, and no required one may be missing.

A type is "aws_sqs_queue", or "data.aws_region". An entry of a type is one of

    "required", "optional", "computed", "optional, computed", each perhaps with ", deprecated"
    {"": <one of those>, <name>: <entry>, ...}: a block, or an attribute that holds objects
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, Union

from hcl2.query import AttributeView, BlockView, DocumentView, NodeView

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(__file__).with_name("schemas.json")

Entry: TypeAlias = Union[str, "Block"]
Block: TypeAlias = dict[str, Entry]

# Arguments and blocks of Terraform, in every resource and data source.
META_ARGUMENTS = frozenset({"count", "depends_on", "for_each", "provider"})
META_BLOCKS = frozenset({"connection", "lifecycle", "provisioner"})

# Deprecated in the current version, but used for this reason.
ACCEPTED = {
    "aws_dynamodb_table.global_secondary_index.hash_key": "required up to 6.28; key_schema exists from 6.29 on",
    "aws_dynamodb_table.global_secondary_index.range_key": "as hash_key",
}

REFERENCE = re.compile(r"(?<![\w.])((?:data\.)?aws_\w+)\.[\w-]+((?:\.[a-z_]\w*|\[[^\[\]]*\])*)")
SELF = re.compile(r"(?<![\w.])self((?:\.[a-z_]\w*|\[[^\[\]]*\])+)")


@dataclass(frozen=True)
class Problem:
    """A use that a version of the provider does not accept.

    Attributes:
        place: Path of the file, with the line.
        path: The attribute or block, for example "aws_sqs_queue.name".
        what: The problem.
    """

    place: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path} {self.what}"


def schemas() -> dict[str, dict[str, Block]]:
    """Return the types' schemas by the provider's version, the oldest version first."""
    providers: dict[str, dict[str, Block]] = json.loads(SCHEMAS.read_text(encoding="utf-8"))["providers"]
    return providers


def sources() -> list[Path]:
    """Return the .tf files of the module, its examples and its tests."""
    folders = [ROOT / name for name in ("modules", "examples", "tests")]
    found = [*ROOT.glob("*.tf"), *(path for folder in folders for path in folder.rglob("*.tf"))]
    return sorted(path for path in found if ".terraform" not in path.parts)


def used_types(paths: Iterable[Path]) -> set[str]:
    """Return the types of the AWS provider that these files declare."""
    return {kind for path in paths for kind, _ in _declared(path.read_text(encoding="utf-8"))}


def problems(source: str, place: str, schema: Mapping[str, Block]) -> Iterator[Problem]:
    """Yield the problems of a Terraform source with a version of the provider.

    Objects that are passed on as a whole (`one(aws_sqs_queue.this)`) are not followed.

    Args:
        source: Content of a .tf file.
        place: Name of the file, for the messages.
        schema: Schema of each type.
    """
    for kind, body in _declared(source):
        where = f"{place}:{_line(source, body)}"
        if kind not in schema:
            yield Problem(where, kind, "is not in tests/provider_schema/schemas.json: run make provider-schema")
            continue
        yield from _misused(body, schema[kind], kind, where)
        for match in SELF.finditer(_code(body.to_hcl())):
            yield from _read(match[1], schema[kind], kind, where)
    for number, line in enumerate(source.splitlines(), start=1):
        for match in REFERENCE.finditer(_code(line)):
            if match[1] in schema:
                yield from _read(match[2], schema[match[1]], match[1], f"{place}:{number}")


@functools.cache  # The same files are compared with each version.
def _declared(source: str) -> list[tuple[str, BlockView]]:
    return [
        (("data." if block.block_type == "data" else "") + block.name_labels[0], block)
        for block in _blocks(DocumentView.parse(source).blocks())
        if block.block_type in {"data", "resource"} and block.name_labels[0].startswith("aws_")
    ]


def _misused(body: BlockView, schema: Block, path: str, place: str) -> Iterator[Problem]:
    """Yield the problems of the arguments and blocks of a resource, data source or block."""
    given = set()
    for attribute in (view for view in body.attributes() if isinstance(view, AttributeView)):
        if attribute.name in META_ARGUMENTS and "." not in path.removeprefix("data."):
            continue
        given.add(attribute.name)
        yield from _unusable(attribute.name, schema, path, place, argument=True)
    for block in _blocks(body.blocks()):
        name, content = block.block_type, block
        if name in META_BLOCKS:
            continue
        if name == "dynamic":
            name, [content] = block.name_labels[0], _blocks(block.blocks("content"))
        given.add(name)
        entry = schema.get(name)
        yield from _unusable(name, schema, path, place, argument=True)
        if isinstance(entry, dict):
            yield from _misused(content, entry, f"{path}.{name}", place)
        elif entry is not None:
            yield Problem(place, f"{path}.{name}", "is no block")
    for name, entry in schema.items():
        if name and _is(entry, "required") and name not in given:
            yield Problem(place, f"{path}.{name}", "is required, but not there")


def _read(steps: str, schema: Block, path: str, place: str) -> Iterator[Problem]:
    """Yield the problems of the attributes in a reference, such as `[0].lambda_config[0].post_confirmation`."""
    for name in re.findall(r"\.(\w+)", re.sub(r"\[.*?\]", "", steps)):
        yield from _unusable(name, schema, path, place, argument=False)
        entry = schema.get(name)
        if not isinstance(entry, dict):
            return  # the rest is in a map, or in a JSON value
        schema, path = entry, f"{path}.{name}"


def _unusable(name: str, schema: Block, path: str, place: str, *, argument: bool) -> Iterator[Problem]:
    entry, path = schema.get(name), f"{path}.{name}"
    if entry is None:
        yield Problem(place, path, "does not exist")
    elif argument and not _is(entry, "required", "optional"):
        yield Problem(place, path, "cannot be set: the provider computes it")
    elif _is(entry, "deprecated") and path not in ACCEPTED:
        yield Problem(place, path, "is deprecated")


def _is(entry: Entry, *flags: str) -> bool:
    """Return whether an entry has one of these flags."""
    text = entry.get("", "") if isinstance(entry, dict) else entry
    return isinstance(text, str) and not set(flags).isdisjoint(text.split(", "))


def _code(source: str) -> str:
    """Return a source without comments."""
    return re.sub(r"(?m)(^|\s)#.*$", "", source)


def _line(source: str, block: BlockView) -> int:
    labels = r"\s+".join(f'"{re.escape(label)}"' for label in block.name_labels)
    header = re.search(rf"(?m)^{block.block_type}\s+{labels}", source)
    return source.count("\n", 0, header.start()) + 1 if header else 1


def _blocks(views: Iterable[NodeView]) -> list[BlockView]:
    return [view for view in views if isinstance(view, BlockView)]
