"""Runs the code of docs/using-the-table.md without changes, in each of its languages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import javascript
from tests.deployed import ROOT

PAGE = (ROOT / "docs" / "using-the-table.md").read_text(encoding="utf-8")

Call: TypeAlias = Sequence[Any]
"""The Python name of a function of the page, and its arguments."""
Code: TypeAlias = Callable[[Path, Mapping[str, str], Sequence[Call]], list[Any]]
"""Makes calls with these environment variables. Returns the results as JSON, or the name of the error."""

# Calls the functions one after the other. A set of DynamoDB becomes a list.
DRIVER = """
import * as users from "./users.mjs";

const answers = [];
for (const [name, ...values] of JSON.parse(process.argv[2])) {
  answers.push(await users[name](...values).catch((error) => error.name));
}
console.log(JSON.stringify(answers, (_, value) => (value instanceof Set ? [...value].sort() : value ?? null)));
"""


# Compiles only if each of the marked lines is an error.
TYPED_SAMPLE = """
import type { DeletedUser, User } from "./user-item";

export function names(user: User | DeletedUser): string[] {
  return "deleted_at" in user ? [user.deleted_at] : [...user.synced_attributes, user.username];
}

export const deleted: DeletedUser = { id: "", user_pool_id: "", deleted_at: "" };
// @ts-expect-error
export const active: User = { id: "", user_pool_id: "" };
// @ts-expect-error
export const deletion = (user: User): string => user.deleted_at;
// @ts-expect-error
export const plan = (user: User): string => user["custom:plan"];
"""


def blocks(language: str) -> list[str]:
    """Return the blocks of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def in_python(_: Path, environment: Mapping[str, str], calls: Sequence[Call]) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        code: dict[str, Any] = {}
        exec(blocks("python")[0], code)
        return [_answer(code[name], values) for name, *values in calls]


def _answer(function: Callable[..., Any], values: Sequence[Any]) -> Any:
    try:
        return json.loads(json.dumps(function(*values), default=sorted))
    except ClientError as error:
        return error.response["Error"]["Code"]


def in_javascript(folder: Path, environment: Mapping[str, str], calls: Sequence[Call]) -> list[Any]:
    (folder / "users.mjs").write_text(blocks("js")[0])
    (folder / "driver.mjs").write_text(DRIVER)
    renamed = [[_in_camel_case(name), *values] for name, *values in calls]
    done = javascript.installed().run(folder / "driver.mjs", json.dumps(renamed), environment=environment)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def _in_camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
