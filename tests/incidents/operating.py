"""What the tests of an operator share."""

from __future__ import annotations

import json
import re
from typing import Any

from typer.testing import CliRunner

from cognito_user_sync_cli.app import app as command_line
from tests.deployed import ROOT, Deployment, Operator, Pool

EXAMPLE = ROOT / "examples" / "complete"
PREFIX = "people-complete"


def facts(said: str) -> str:
    """What was said, without the lines of tables, and in one line."""
    return " ".join(re.sub(r"[│┃━─┌┐└┘├┤┬┴┼┏┓┗┛┡┩╇┳┻╋]", " ", said).split())


def status(operator: Operator, healthy: bool) -> Any:
    return json.loads(operator("status", "--json", expect=0 if healthy else 1))


def section(found: Any, name: str) -> Any:
    return found["sections"][name]["facts"]


def is_healthy(operator: Operator) -> bool:
    """Whether status says that all is well; it may say so a moment after a repair."""
    return bool(json.loads(operator("status", "--json", expect=None))["healthy"])


def without_state(*arguments: str, expect: int) -> str:
    """What the command line says that knows only the deployment's name and its region."""
    result = CliRunner().invoke(command_line, ["--prefix", PREFIX, "--region", "us-east-1", *arguments])
    assert result.exit_code == expect, result.output
    return result.stdout


def remove_trigger(people: Pool) -> None:
    """... as another stack does that updates the pool without it."""
    update_pool(people, LambdaConfig={})


def update_pool(people: Pool, **changed: Any) -> None:
    described = people.cognito.describe_user_pool(UserPoolId=people.id)["UserPool"]
    kept = {name: described[name] for name in ("Policies", "AutoVerifiedAttributes", "LambdaConfig")}
    people.cognito.update_user_pool(UserPoolId=people.id, **kept | changed)


def signed_up(deployed: Deployment, people: Pool, username: str, ends_as: str) -> str:
    """The sub of a user who has signed up and confirmed, and whose execution has ended so."""
    sub = people.sign_up(username, email=f"{username}@example.com")
    people.confirm(username)
    assert deployed.settled(sub)[0]["status"] == ends_as
    return sub
