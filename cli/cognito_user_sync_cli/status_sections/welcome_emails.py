"""Sections `welcome_sender` and `welcome_emails`: whether the sender is verified, and how many emails were skipped."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from email.utils import parseaddr
from functools import partial

from cognito_user_sync.welcome_email import header_mailbox
from cognito_user_sync.welcome_outcome import SENT
from cognito_user_sync_cli import deployed_email
from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployed_email import NoWelcomeEmailError
from cognito_user_sync_cli.deployment import Deployment, DeploymentError
from cognito_user_sync_cli.log_lines import json_lines
from cognito_user_sync_cli.status_sections.findings import (
    RECENT,
    Fact,
    Findings,
    Problem,
    check_log_group,
    function_exists,
)


def check_sender(deployment: Deployment) -> Findings:
    """Check whether SES has verified the sender, its domain, or a parent domain."""
    function = f"{deployment.prefix}-send-welcome"
    if "send-welcome" not in deployment.function_arns or not function_exists(deployment, function):
        yield Fact("verified", None, "none")
        return
    try:
        email = deployed_email.read_deployed_email(deployment.functions, function)
    except NoWelcomeEmailError as error:
        raise DeploymentError(str(error)) from error
    if email.identity_arn and email.identity_arn.split(":")[4] != deployment.account:
        yield Fact("verified", None, f"not checked: {email.identity_arn} belongs to another account")
        return
    region = email.region or deployment.region
    address = parseaddr(header_mailbox(email.sender))[1]
    labels = address.rpartition("@")[2].split(".")
    identities = [address, *(".".join(labels[start:]) for start in range(len(labels) - 1))]
    ses = deployment.ses(region)
    found = [none_if_missing(partial(ses.get_email_identity, EmailIdentity=name)) for name in identities]
    is_verified = any(identity and identity["VerifiedForSendingStatus"] for identity in found)
    yield Fact("verified", is_verified, f"{'' if is_verified else 'not '}verified in {region}")
    if not is_verified:
        yield Problem(
            f"SES in {region} has not verified the sender in welcome_email.from, its domain or a parent domain, so no"
            " welcome email is sent. Verify one of them, then: cognito-user-sync failures redrive"
        )


def count_skipped(deployment: Deployment) -> Findings:
    """Count the skipped welcome emails by reason. They are no problem, but answer "I got no email"."""
    if "send-welcome" not in deployment.function_arns:
        yield Fact("skipped", {}, "none")
        return
    group = f"/aws/lambda/{deployment.prefix}-send-welcome"
    if not (yield from check_log_group(deployment, group)):
        return
    pattern = f'{{ $.welcome_email = "*" && $.welcome_email != "{SENT}" }}'
    lines = json_lines(deployment.logs, group, pattern, datetime.now(UTC) - RECENT)
    # The local AWS ignores the pattern.
    skipped = Counter(line["welcome_email"] for line in lines if line.get("welcome_email", SENT) != SENT)
    reasons = "".join(f", {number:,} {reason}" for reason, number in skipped.most_common())
    yield Fact("skipped", skipped, f"{skipped.total():,} skipped in 24 hours{reasons.replace(',', ':', 1)}")
