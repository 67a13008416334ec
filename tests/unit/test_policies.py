"""How `make check-policies` judges the policies of the module, without Terraform and without parliament."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import rendered_policies
from tests.check_policies import Finding, problems
from tests.rendered_policies import IncompleteError, Policy, policies

FOUND = Finding("UseVpc", "RESOURCE_STAR", "ec2:CreateNetworkInterface")


def test_problems_accepts_finding_by_pattern() -> None:
    assert list(problems([("role", FOUND)], {Finding("Use*", "RESOURCE_STAR", "ec2:Create*"): "reason"})) == []


def test_problems_reports_finding_that_is_not_accepted() -> None:
    other = FOUND._replace(subject="ec2:RunInstances")
    assert list(problems([("role", FOUND), ("role", other)], {FOUND: "reason"})) == [
        "role, statement UseVpc: RESOURCE_STAR: ec2:RunInstances"
    ]


def test_problems_reports_accepted_finding_that_is_unused() -> None:
    (problem,) = problems([], {FOUND: "reason"})
    assert str(FOUND) in problem


# --- whether Terraform rendered everything

SOURCES = """\
data "aws_iam_policy_document" "role" {
  statement {
    sid     = "Read"
    actions = ["sqs:ReceiveMessage"]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn[*]
    content {
      sid     = "UseKey"
      actions = ["kms:Decrypt"]
    }
  }
}

resource "aws_iam_role_policy" "role" {
  role   = "role"
  policy = data.aws_iam_policy_document.role.json
}
"""
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Sid": "Read"}, {"Sid": "UseKey"}]}


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one file of a project: that of the example."""
    file = tmp_path / "examples" / "complete" / "key.tf"
    file.parent.mkdir(parents=True)
    file.write_text(SOURCES)
    monkeypatch.setattr(rendered_policies, "ROOT", tmp_path)
    monkeypatch.setattr(rendered_policies, "KEY", file)
    return file


def planned(document: Any = DOCUMENT, **values: Any) -> dict[str, Any]:
    """Return a plan of the sources, as `terraform show -json` has it."""
    text = json.dumps(document)
    policy = {"address": "aws_iam_role_policy.role[0]", "mode": "managed", "values": {"policy": text} | values}
    data = {"address": "data.aws_iam_policy_document.role[0]", "mode": "data", "values": {"json": text}}
    return {
        "configuration": {"root_module": {}},
        "planned_values": {"root_module": {"resources": [policy]}},
        "prior_state": {"values": {"root_module": {"resources": [data]}}},
    }


def test_policies_returns_documents(key: Path) -> None:
    assert policies(planned()) == [Policy("aws_iam_role_policy.role[0]", DOCUMENT, None)]


def test_policies_fails_when_policy_is_unknown(key: Path) -> None:
    with pytest.raises(IncompleteError, match=r"aws_iam_role_policy\.role\[0\]: policy is not known at plan"):
        policies(planned(policy=None))


def test_policies_fails_when_policy_is_not_planned(key: Path) -> None:
    plan = planned()
    plan["planned_values"]["root_module"] = {}
    with pytest.raises(IncompleteError, match=r"aws_iam_role_policy\.role was not planned"):
        policies(plan)


def test_policies_fails_when_statement_is_not_rendered(key: Path) -> None:
    message = r"examples/complete: data\.aws_iam_policy_document\.role, statement UseKey was not rendered"
    with pytest.raises(IncompleteError, match=message):
        policies(planned({"Version": "2012-10-17", "Statement": [{"Sid": "Read"}]}))


def test_policies_fails_when_statement_has_no_sid(key: Path) -> None:
    key.write_text(SOURCES.replace('    sid     = "Read"\n', ""))
    with pytest.raises(IncompleteError, match="has a statement without a sid"):
        policies(planned())


def test_policies_fails_when_module_is_not_planned(key: Path) -> None:
    module = key.parents[2] / "modules" / "other" / "main.tf"
    module.parent.mkdir(parents=True)
    module.write_text(SOURCES)
    with pytest.raises(IncompleteError, match=r"modules/other: aws_iam_role_policy\.role was not planned"):
        policies(planned())
