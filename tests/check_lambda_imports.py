"""Check that the Lambda sources import only what is in the Lambda runtime or in the zip, and that the layers are kept.

In the runtime are the standard library, boto3 and botocore. MAY_IMPORT has the layers of the package. Prints each
violation, and exits 1 if there is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "cognito_user_sync"
SOURCES = Path(__file__).parents[1] / "lambda_src"

# What each file of the package may import of it: only files above it in this table, so that there is no cycle.
# Handlers may import all of them, but no handler.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "aws_errors": set(),
    "log_fields": set(),
    "user": set(),
    "domain_names": set(),
    "email_values": set(),
    "welcome_outcome": set(),
    "chained_function": set(),
    "raw_requests": set(),
    "pool_configuration": set(),
    "pool_trigger": {"pool_configuration", "raw_requests"},
    "sync_request": {"errors", "user"},
    "executions": {"sync_request"},
    "message_batch": {"errors", "log_fields", "sync_request"},
    "user_pool": {"aws_errors", "user"},
    "item_layout": {"user"},
    "user_table": {"aws_errors", "item_layout", "user"},
    "user_events": {"errors", "item_layout", "log_fields", "user"},
    "settings": {"item_layout", "user_table"},
    "clients": {"settings", "user_pool", "user_table"},
    "deletion": {"item_layout", "user", "user_pool", "user_table"},
    "changes": {"deletion", "item_layout", "sync_request", "user", "user_pool", "user_table"},
    "rate_limit": {"user_pool", "user_table"},
    "shards": {"user", "user_pool"},
    "reconciliation": {
        "clients",
        "deletion",
        "item_layout",
        "log_fields",
        "rate_limit",
        "shards",
        "user",
        "user_pool",
        "user_table",
    },
    "group_reconciliation": {
        "item_layout",
        "log_fields",
        "rate_limit",
        "reconciliation",
        "user",
        "user_pool",
        "user_table",
    },
    "run_summary": {"aws_errors", "reconciliation"},
    "welcome_email": {"aws_errors", "domain_names", "email_values", "user", "welcome_outcome"},
}
IN_RUNTIME = {"boto3", "botocore"}


def imports(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield each imported name with its line, and whether it is imported for type checking only."""
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
    """Return why `file` (its path in the package, without .py) must not import `name`, or None."""
    top, *rest = name.split(".")
    if top != PACKAGE:
        allowed = top in sys.stdlib_module_names or top in IN_RUNTIME or (for_types and top.startswith("mypy_boto3"))
        return None if allowed else f"{name} is not in the Lambda runtime"
    imported = rest[0] if rest else "__init__"
    if file.startswith("handlers/"):
        return f"{name}: a handler must not import a handler" if imported == "handlers" else None
    if imported in MAY_IMPORT.get(file, set()):
        return None
    return f"{name}: {file}.py may import {sorted(MAY_IMPORT.get(file, set()))} only"


def violations(sources: Path) -> Iterator[str]:
    package = sources / PACKAGE
    files = {path.relative_to(package).with_suffix("").as_posix(): path for path in sorted(package.rglob("*.py"))}
    yield from table_violations({file for file in files if not file.startswith("handlers/")})
    for file, path in files.items():
        for line, name, for_types in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if why := violation(file, name, for_types):
                yield f"{path.relative_to(sources.parent)}:{line}: {why}"


def table_violations(files: set[str]) -> Iterator[str]:
    """Yield why MAY_IMPORT does not match the files, or allows a cycle."""
    above: set[str] = set()
    for file, allowed in MAY_IMPORT.items():
        if allowed - above:
            yield f"MAY_IMPORT: {file} may import {sorted(allowed - above)}, not above it"
        above.add(file)
    for file in sorted(files ^ above):
        yield f"MAY_IMPORT: {file}.py is {'not in the table' if file in files else 'no file of the package'}"


def main() -> int:
    found = list(violations(SOURCES))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
