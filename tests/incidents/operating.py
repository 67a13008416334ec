"""Helpers for the tests of an operator's commands."""

from __future__ import annotations

import json
import re
from typing import Any

from typer.testing import CliRunner

from cognito_user_sync_cli.app import app as command_line
from tests.deployed import ROOT, Deployment, Operator, Pool

EXAMPLE = ROOT / "examples" / "complete"
PREFIX = "people-complete"


def facts(output: str) -> str:
    """Return an output in one line, without the borders of tables."""
    return " ".join(re.sub(r"[│┃━─┌┐└┘├┤┬┴┼┏┓┗┛┡┩╇┳┻╋]", " ", output).split())


def status(operator: Operator, healthy: bool) -> Any:
    return json.loads(operator("status", "--json", expect=0 if healthy else 1))


def section(found: Any, name: str) -> Any:
    return found["sections"][name]["facts"]


def is_healthy(operator: Operator) -> bool:
    """Return whether status is healthy, which can take a moment after a repair."""
    return bool(json.loads(operator("status", "--json", expect=None))["healthy"])


def without_state(*arguments: str, expect: int) -> str:
    """Run a command that knows only the deployment's name and region. Return its output."""
    result = CliRunner().invoke(command_line, ["--prefix", PREFIX, "--region", "us-east-1", *arguments])
    assert result.exit_code == expect, result.output
    return result.stdout


def policy_on(page: str, heading: str, user_pool_id: str, **values: str) -> Any:
    """Return the policy after a text on a page of docs/, with the values of this deployment for its placeholders."""
    _, _, section = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(heading)
    policy = section.partition("```json")[2].partition("```")[0]
    for placeholder, value in {
        "NAME-STAGE": PREFIX,
        "REGION": "us-east-1",
        "ACCOUNT": "000000000000",
        **values,
        "USER_POOL_ID": user_pool_id,
        # The local AWS names the bus in a rule's ARN, and takes the bus of DescribeEventBus for a rule.
        ":rule/": ":rule/default/",
        ":event-bus/": ":rule/default/",
    }.items():
        policy = policy.replace(placeholder, value)
    return json.loads(policy)


def remove_trigger(pool: Pool) -> None:
    """Remove the trigger, as another stack does that updates the pool without it."""
    update_pool(pool, LambdaConfig={})


def update_pool(pool: Pool, **changed: Any) -> None:
    described = pool.cognito.describe_user_pool(UserPoolId=pool.id)["UserPool"]
    kept = {name: described[name] for name in ("Policies", "AutoVerifiedAttributes", "LambdaConfig")}
    pool.cognito.update_user_pool(UserPoolId=pool.id, **kept | changed)


def signed_up(deployed: Deployment, pool: Pool, username: str, ends_as: str) -> str:
    """Sign up and confirm a user, and return the sub when the execution has this status."""
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.confirm(username)
    assert deployed.settled(sub)[0]["status"] == ends_as
    return sub
