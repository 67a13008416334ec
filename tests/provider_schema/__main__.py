"""Compare the .tf files with the AWS provider's schema, or renew the schema.

python -m tests.provider_schema            prints each problem; exits 1 if there is one
python -m tests.provider_schema --renew    writes schemas.json; needs terraform with the oldest version, and npm
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.provider_schema import ROOT, SCHEMAS, Block, packages, problems, schemas, sources

OLDEST = "5.100.0"


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
    types = sorted(packages.IN_PULUMI)
    with tempfile.TemporaryDirectory(prefix="provider-schema-") as folder:
        try:
            current, newest = from_npm(Path(folder), types)
            providers = {OLDEST: from_terraform(Path(folder), types), current: newest}
        except (packages.PackageError, subprocess.CalledProcessError, OSError) as error:
            print(f"The schema cannot be renewed: {error}", file=sys.stderr)
            return 1
    SCHEMAS.write_text(
        layout(
            {
                "written": f"{datetime.now(UTC):%Y-%m-%d}",
                "from": {OLDEST: "terraform providers schema -json", current: f"{packages.CDKTN}, {packages.PULUMI}"},
            },
            providers,
        ),
        encoding="utf-8",
    )
    print(f"{SCHEMAS.relative_to(ROOT)}: {len(types)} types of the AWS provider {' and '.join(providers)}")
    return 0


def layout(head: dict[str, object], providers: dict[str, dict[str, Block]]) -> str:
    """Return JSON with a line for each type."""
    versions = []
    for version, types in providers.items():
        lines = ",\n".join(f"   {json.dumps(kind)}: {json.dumps(types[kind])}" for kind in sorted(types))
        versions.append(f"  {json.dumps(version)}: {{\n{lines}\n  }}")
    joined = ",\n".join(versions)
    return f'{json.dumps(head, indent=1)[:-2]},\n "providers": {{\n{joined}\n }}\n}}\n'


def from_terraform(folder: Path, types: list[str]) -> dict[str, Block]:
    work = folder / "oldest"
    work.mkdir()
    (work / "main.tf").write_text(
        'terraform {\n  required_providers {\n    aws = {\n      source  = "hashicorp/aws"\n'
        f'      version = "{OLDEST}"\n    }}\n  }}\n}}\n'
    )
    subprocess.run(["terraform", "init", "-input=false"], cwd=work, stdout=subprocess.DEVNULL, check=True)
    printed = subprocess.run(
        ["terraform", "providers", "schema", "-json"], cwd=work, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return packages.from_terraform(json.loads(printed), types)


def from_npm(folder: Path, types: list[str]) -> tuple[str, dict[str, Block]]:
    cdktn = packages.unpack(packages.CDKTN, folder / "cdktn")
    found = {kind: packages.from_cdktn(cdktn, kind) for kind in types}
    packages.mark_deprecated(packages.unpack(packages.PULUMI, folder / "pulumi"), found)
    return packages.version_in_cdktn(cdktn), found


if __name__ == "__main__":
    sys.exit(main())
