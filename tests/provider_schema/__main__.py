"""Compare the .tf files with the AWS provider's schema, or renew the schema.

python -m tests.provider_schema            prints each problem; exits 1 if there is one
python -m tests.provider_schema --renew    writes schemas.json; needs a provider registry
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.provider_schema import ROOT, SCHEMAS, Block, Entry, problems, schemas, sources, used_types

SUPPORTED = ("5.100.0", "~> 6.0")
"""The oldest supported version, and a constraint for the newest."""


class SchemaError(Exception):
    """The provider has no such type."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.provider_schema")
    parser.add_argument("--renew", action="store_true", help="write schemas.json")
    return renew() if parser.parse_args().renew else check()


def check() -> int:
    found = [
        f"{problem} in version {version} of the AWS provider"
        for version, schema in schemas().items()
        for path in sources()
        for problem in problems(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)), schema)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"AWS provider {' and '.join(schemas())}: {len(found) or 'no'} problems in {len(sources())} .tf files")
    return 1 if found else 0


def renew() -> int:
    types = sorted(used_types(sources()))
    try:
        providers = dict(download(version, types) for version in SUPPORTED)
    except (SchemaError, subprocess.CalledProcessError) as error:
        print(f"The schema cannot be renewed: {error}", file=sys.stderr)
        return 1
    # A line for each type.
    versions = [
        f"  {json.dumps(version)}: {{\n"
        + ",\n".join(f"   {json.dumps(kind)}: {json.dumps(schema[kind])}" for kind in types)
        + "\n  }"
        for version, schema in providers.items()
    ]
    head = f' "written": "{datetime.now(UTC):%Y-%m-%d}",\n "from": "terraform providers schema -json",\n "providers":'
    SCHEMAS.write_text(f"{{\n{head} {{\n{(',' + chr(10)).join(versions)}\n }}\n}}\n", encoding="utf-8")
    print(f"{SCHEMAS.relative_to(ROOT)}: {len(types)} types of the AWS provider {' and '.join(providers)}")
    return 0


def download(constraint: str, types: Iterable[str]) -> tuple[str, dict[str, Block]]:
    """Return the newest version of the provider that fits, and its schema."""
    with tempfile.TemporaryDirectory(prefix="provider-schema-") as folder:
        required = {"aws": {"source": "hashicorp/aws", "version": constraint}}
        Path(folder, "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))

        def terraform(*arguments: str) -> Any:
            done = subprocess.run(["terraform", *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
            return json.loads(done.stdout) if "-json" in arguments else None

        terraform("init", "-input=false")
        [version] = terraform("version", "-json")["provider_selections"].values()
        return version, from_terraform(terraform("providers", "schema", "-json"), types)


def from_terraform(printed: dict[str, Any], types: Iterable[str]) -> dict[str, Block]:
    """Return the schema of these types from the output of `terraform providers schema -json`."""
    [provider] = printed["provider_schemas"].values()
    found = {}
    for kind in types:
        name = kind.removeprefix("data.")
        group = "resource_schemas" if name == kind else "data_source_schemas"
        if name not in provider[group]:
            raise SchemaError(f"this version of hashicorp/aws has no {kind}")
        found[kind] = _block(provider[group][name]["block"])
    return found


def _block(block: dict[str, Any]) -> Block:
    entries: Block = {}
    for name, attribute in block.get("attributes", {}).items():
        entries[name] = _typed(attribute["type"], _flags(**attribute))
    for name, nested in block.get("block_types", {}).items():
        flags = _flags(required=nested.get("min_items", 0) > 0, optional=True, **nested["block"])
        entries[name] = {"": flags, **_block(nested["block"])}
    return entries


def _typed(of_type: Any, flags: str) -> Entry:
    """Return the entry of an attribute: its flags, or its keys if it holds objects."""
    while isinstance(of_type, list) and of_type[0] in {"list", "set"}:
        of_type = of_type[1]
    if isinstance(of_type, list) and of_type[0] == "object":
        return {"": flags, **{name: _typed(inner, flags) for name, inner in of_type[1].items()}}
    return flags


def _flags(
    *, required: bool = False, optional: bool = False, computed: bool = False, deprecated: bool = False, **_: Any
) -> str:
    words = {
        "required": required,
        "optional": optional and not required,
        "computed": computed,
        "deprecated": deprecated,
    }
    return ", ".join(word for word, holds in words.items() if holds)


if __name__ == "__main__":
    sys.exit(main())
