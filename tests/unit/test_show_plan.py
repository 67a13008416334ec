"""The summary at the end of `make plan`, made from Terraform's output."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SHOW_PLAN = Path(__file__).parents[2] / "environments" / "show_plan.sh"

READING = """\
\x1b[0m\x1b[1mdata.aws_caller_identity.current: Reading...\x1b[0m\x1b[0m
\x1b[0m\x1b[1mdata.aws_caller_identity.current: Read complete after 0s [id=123456789012]\x1b[0m
data.aws_cognito_user_pool.this: Read complete after 1s [id=eu-west-1_AbCdEfGhI]
"""
CREATED = """\
\x1b[1m  # aws_cloudwatch_log_group.deployment\x1b[0m will be created
    + name = "a  b\\c"
\x1b[1m  # module.pool_trigger[0].aws_lambda_invocation.attach\x1b[0m will be created
\x1b[1m  # module.a.data.aws_iam_policy_document.this\x1b[0m will be read during apply
  # (config refers to values not yet known)
\x1b[1mPlan:\x1b[0m 2 to add, 0 to change, 0 to destroy.
"""
CHANGED = """\
  # module.a.aws_x.one["a b"] will be updated in-place
  # module.a.aws_x.two must be replaced
  # module.a.aws_x.three is tainted, so must be replaced
  # module.a.aws_x.four will be replaced, as requested
  # module.a.aws_x.five will be replaced due to changes in replace_triggered_by
  # module.pool_trigger[0].aws_lambda_invocation.guard will be destroyed
  # (because index [0] is out of range for count)
Plan: 4 to add, 1 to change, 5 to destroy.
"""
PLAN_OF_ERROR = """
\x1b[1mTerraform planned the following actions, but then encountered a problem:\x1b[0m

  # aws_cloudwatch_log_group.deployment will be created
Plan: 1 to add, 0 to change, 0 to destroy.
"""


def shown(printed: str) -> str:
    environment = {**os.environ, "AWS_REGION": "eu-west-1"}
    return subprocess.run(
        [SHOW_PLAN, "dev", "make apply ENV=dev"],
        input=printed, capture_output=True, text=True, check=True, env=environment,
    ).stdout  # fmt: skip


def summary(printed: str) -> dict[str, str]:
    title, *lines = shown(printed).partition("Summary of ")[2].splitlines()
    assert title == "environment dev"
    return {line[2:16].strip(): line[16:] for line in lines}


def test_summary_follows_the_plan_as_terraform_prints_it() -> None:
    printed, _, rest = shown(READING + CREATED).partition("\nSummary of environment dev\n")
    assert printed == READING + CREATED
    assert len(rest.splitlines()) == 9


def test_summary_shows_what_a_first_apply_creates() -> None:
    assert summary(READING + CREATED) == {
        "account": "123456789012",
        "region": "eu-west-1",
        "user pool": "eu-west-1_AbCdEfGhI",
        "pool trigger": "attached by this plan",
        "create": "2",
        "change": "0",
        "replace": "0",
        "destroy": "0",
        "apply with": "make apply ENV=dev",
    }


def test_summary_names_resources_that_are_changed_or_lost() -> None:
    found = summary(READING + CHANGED)
    assert found["change"] == '1: module.a.aws_x.one["a b"]'
    assert found["replace"] == "4: module.a.aws_x.two, module.a.aws_x.three, module.a.aws_x.four, ..."
    assert found["destroy"] == "1: module.pool_trigger[0].aws_lambda_invocation.guard"
    assert (found["create"], found["pool trigger"]) == ("0", "detached by this plan")


def test_summary_of_a_plan_without_changes() -> None:
    found = summary(
        READING + "\x1b[0m\x1b[1m\x1b[32mNo changes.\x1b[0m\x1b[1m Your infrastructure matches the configuration.\n"
    )
    assert (found["create"], found["pool trigger"]) == ("0", "unchanged")


def test_summary_says_when_an_attached_trigger_is_attached_again() -> None:
    line = "  # module.pool_trigger[0].aws_lambda_invocation.attach will be replaced, as requested\nPlan: 1 to add.\n"
    assert summary(READING + line)["pool trigger"] == "attached again by this plan"


def test_failed_plan_leaves_out_what_it_had_planned() -> None:
    """The error on stderr is then the last output, without thousands of lines before it."""
    assert shown(READING + PLAN_OF_ERROR) == READING + "\n"
