"""Checks what the Lambda sources import: the standard library, boto3 and botocore (both in the Lambda runtime), and
our own package, downwards only. Nothing else is in the functions' zips. Prints each violation; exits 1 if there is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "cognito_user_sync"
SOURCES = Path(__file__).parents[1] / "lambda_src"

# What each file of the package may import of it. Handlers may import all but each other.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "user": set(),
    "errors": set(),
    "aws_errors": set(),
    "log_fields": set(),
    "user_pool": {"aws_errors", "user"},
    "item_layout": {"user"},
    "user_table": {"aws_errors", "item_layout", "user"},
    "deletion": {"item_layout", "user", "user_pool", "user_table"},
    "rate_limit": {"user_pool", "user_table"},
    "shards": {"user_pool"},
    "reconciliation": {
        "clients",
        "deletion",
        "errors",
        "item_layout",
        "log_fields",
        "rate_limit",
        "shards",
        "user",
        "user_pool",
        "user_table",
    },
    "settings": {"item_layout", "user_table"},
    "pool_trigger": set(),
    "sync_request": {"errors", "user"},
    "executions": {"sync_request"},
    "message_batch": {"errors", "log_fields", "sync_request"},
    "changes": {"deletion", "sync_request", "user", "user_pool", "user_table"},
    "clients": {"settings", "user_pool", "user_table"},
    "domain_names": set(),
    "email_values": set(),
    "welcome_email": {"aws_errors", "domain_names", "email_values", "user", "welcome_outcome"},
}
IN_RUNTIME = {"boto3", "botocore"}


def imports(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Each imported name with its line, and whether it is imported for type checking only."""
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in for_types
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}", id(node) in for_types


def violation(file: str, name: str, for_types: bool) -> str | None:
    """Why `file` (its path inside the package, without .py) must not import `name`; None if it may."""
    top, *rest = name.split(".")
    if top != PACKAGE:
        allowed = top in sys.stdlib_module_names or top in IN_RUNTIME or (for_types and top.startswith("mypy_boto3"))
        return None if allowed else f"{name} is not in the Lambda runtime"
    imported = rest[0] if rest else "__init__"
    if file.startswith("handlers/"):
        return f"{name}: a handler must not import a handler" if imported == "handlers" else None
    if file not in MAY_IMPORT:
        return f"{file}.py is not in MAY_IMPORT of {Path(__file__).name}"
    return None if imported in MAY_IMPORT[file] else f"{name}: {file}.py may import {sorted(MAY_IMPORT[file])} only"


def violations(sources: Path) -> Iterator[str]:
    package = sources / PACKAGE
    files = sorted(package.rglob("*.py"))
    if not files:
        yield f"{package}: no Python file found"
    for path in files:
        file = path.relative_to(package).with_suffix("").as_posix()
        for line, name, for_types in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if why := violation(file, name, for_types):
                yield f"{path.relative_to(sources.parent)}:{line}: {why}"


def main() -> int:
    found = list(violations(SOURCES))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
