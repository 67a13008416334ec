"""Reads the module's Terraform and ASL files as data, for tests that compare their numbers with those of the code."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import hcl2

MODULES = Path(__file__).parents[2] / "modules"

Json: TypeAlias = dict[str, Any]


@cache
def _main(module: str) -> Any:
    return hcl2.loads((MODULES / module / "main.tf").read_text(encoding="utf-8"))


def number(module: str, value: Any, variables: Mapping[str, float] | None = None) -> float:
    """Evaluate an expression of a module's main.tf: arithmetic with its locals.

    Args:
        module: The module.
        value: The expression.
        variables: Values of the module's variables by path, for example function.timeout_seconds.
    """
    named = {name: content for block in _main(module).get("locals", []) for name, content in block.items()}
    while isinstance(value, str) and "local." in value:
        value = re.sub(r"local\.(\w+)", lambda match: f"({str(named[match[1]]).strip('${}')})", value)
    for path, content in (variables or {}).items():
        value = str(value).replace(f"var.{path}", str(content))
    return float(eval(str(value).strip("${}"), {"__builtins__": {}, "ceil": math.ceil}))


def resource(module: str, kind: str, name: str) -> Json:
    """Return the one resource of this type and name in a module's main.tf."""
    [found] = [
        block[f'"{kind}"'][f'"{name}"']
        for block in _main(module)["resource"]
        if f'"{name}"' in block.get(f'"{kind}"', {})
    ]
    return dict(found)


def _calls(source: str) -> Iterator[tuple[str, Json]]:
    """Yield each use of a building block: the module that uses it, and the arguments."""
    for folder in sorted(MODULES.iterdir()):
        for block in _main(folder.name).get("module", []):
            for arguments in block.values():
                if arguments["source"] == f'"../{source}"':
                    yield folder.name, arguments


def function_timeouts() -> dict[str, float]:
    """Return the timeout of each Lambda function in seconds, by the file name of its handler."""
    functions = [
        *((module, arguments) for module, arguments in _calls("lambda_function") if module != "request_queue"),
        *((module, arguments["function"]) for module, arguments in _calls("request_queue")),
    ]
    return {
        function["handler"].strip('"'): number(module, function["timeout_seconds"]) for module, function in functions
    }


@cache
def state_machine(module: str) -> Json:
    """Return a module's state machine definition, in which each template variable is replaced by its name."""
    text = (MODULES / module / f"{module}.asl.json").read_text(encoding="utf-8")
    rendered = re.sub(r"\$\{(\w+)\}", lambda match: "4" if match[1] == "max_concurrency" else match[1], text)
    definition: Json = json.loads(rendered)
    return definition


def states(module: str) -> dict[str, Json]:
    """Return all states of a module's state machine, also those in a Map."""
    found: dict[str, Json] = {}

    def add(level: dict[str, Json]) -> None:
        for name, state in level.items():
            found[name] = state
            add(state.get("ItemProcessor", {}).get("States", {}))

    add(state_machine(module)["States"])
    return found


def handler_of(state: Json) -> str | None:
    """Return the handler that a Task invokes; None if it calls another service."""
    name = str(state["Parameters"].get("FunctionName", ""))
    return name.removesuffix("_function_arn") or None


def waits(retry: Json) -> list[float]:
    """Return the seconds between the attempts of a retrier, without jitter."""
    return [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt, retry["MaxDelaySeconds"])
        for attempt in range(retry["MaxAttempts"])
    ]
