"""Checks the policies that tests/rendered_policies.py prints, with parliament. Exits 1 if there is a finding.

An accepted finding is in ACCEPTED, with its reason. An entry without a finding is also an error.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """A finding of parliament.

    Attributes:
        statement: The sid; empty for a finding that needs several statements of a policy.
        issue: parliament's name for it.
        subject: The action, or parliament's text where there is none.
    """

    statement: str
    issue: str
    subject: str


# Each field is a pattern.
ACCEPTED = {
    Finding("*AssumesRole", "CREDENTIALS_EXPOSURE", "sts:assumerole"): (
        "a trust policy, which gives the credentials of the role to the one AWS service that uses it"
    ),
    Finding("KeepSmsRole", "PERMISSIONS_MANAGEMENT_ACTIONS", "iam:passrole"): (
        "UpdateUserPool passes the pool's SMS role on again; a condition limits it to Cognito"
    ),
    Finding("KeepSenderKey", "PERMISSIONS_MANAGEMENT_ACTIONS", "kms:creategrant"): (
        "UpdateUserPool grants Cognito the use of the pool's key again; a condition limits it to the pool"
    ),
    Finding("DeliverLog", "PERMISSIONS_MANAGEMENT_ACTIONS", "logs:putresourcepolicy"): (
        "Step Functions needs it to deliver a log: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html"
    ),
    Finding("FindOtherRuns", "RESOURCE_MISMATCH", "states:ListExecutions on arn:*:mapRun:*"): (
        "ListExecutions takes a state machine or a Map Run; the reconciliation lists those of a state machine"
    ),
    **{
        Finding("UseVpc", "RESOURCE_STAR", f"ec2:{action}"): (
            "Lambda requires it for all resources: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html"
        )
        for action in (
            "AssignPrivateIpAddresses",
            "CreateNetworkInterface",
            "DeleteNetworkInterface",
            "UnassignPrivateIpAddresses",
        )
    },
    **{
        Finding("LetIamDecide", issue, "kms:*"): (
            "the first statement of AWS's own default for keys, in which kms:* can mean the actions on this key only: "
            "https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html"
        )
        for issue in ("PERMISSIONS_MANAGEMENT_ACTIONS", "RESOURCE_MISMATCH")
    },
    Finding("EncryptLogs", "MISMATCHED_TYPE", "Type mismatch: ArnLike requires a value of type Arn but given String"): (
        "an encryption context is a string, but this one is an ARN, and AWS compares it as one: "
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"
    ),
}


def findings(document: dict[str, Any], attached_to: str | None) -> set[Finding]:
    """Return what parliament finds in a policy.

    Args:
        document: The policy.
        attached_to: The ARN of the resource that has the policy; None for what a role may do.
    """
    # A resource-based policy can omit the resource, or name it "*". parliament needs its ARN.
    statements = [
        {**each, "Resource": attached_to} if attached_to and each.get("Resource", "*") == "*" else each
        for each in document["Statement"]
    ]
    found = {
        Finding(statement["Sid"], *finding)
        for statement in statements
        for finding in _analyze({**document, "Statement": [statement]})
    }
    of_several = set(_analyze({**document, "Statement": statements})) - {(each.issue, each.subject) for each in found}
    return found | {Finding("", *finding) for finding in of_several}


def _analyze(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the issue and the subject of each finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources, which parliament imports, warns of its end
        import parliament

    analyzed = parliament.analyze_policy_string(
        json.dumps(document), ignore_private_auditors=True, include_community_auditors=True
    )
    for finding in analyzed.findings:
        for subject in _subjects(finding.detail, finding.location):
            yield finding.issue, subject


def _subjects(detail: Any, location: dict[str, Any]) -> list[str]:
    """Split a finding by action, so that an accepted finding does not cover an action that is added later."""
    if isinstance(detail, list):
        return [each if isinstance(each, str) else f"{each['action']} on {each['required_format']}" for each in detail]
    if "actions" in location and "type" not in location:
        return list(location["actions"])
    return [str(detail or location.get("type") or location)]


def problems(found: list[tuple[str, Finding]], accepted: dict[Finding, str]) -> Iterator[str]:
    """Yield the findings that are not accepted, by the address of the policy, and the unused entries of `accepted`."""
    unused = set(accepted)
    for address, finding in found:
        entries = {entry for entry in accepted if all(map(fnmatchcase, finding, entry))}
        unused -= entries
        if not entries:
            where = f"{address}, statement {finding.statement}" if finding.statement else address
            yield f"{where}: {finding.issue}: {finding.subject}"
    for entry in sorted(unused):
        yield f"no policy has this finding any more, remove it from ACCEPTED: {entry}"


def main() -> int:
    # Empty if Terraform failed. Its error was printed before.
    policies = json.loads(sys.stdin.read() or "[]")
    found = [
        (policy["address"], finding)
        for policy in policies
        for finding in sorted(findings(policy["document"], policy["attached_to"]))
    ]
    failures = list(problems(found, ACCEPTED)) if policies else ["no policies were rendered"]
    for failure in failures:
        print(f"parliament: {failure}", file=sys.stderr)
    statements = sum(len(policy["document"]["Statement"]) for policy in policies)
    print(f"parliament: {len(policies)} policies with {statements} statements, {len(ACCEPTED)} accepted findings")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
