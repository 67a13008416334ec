"""Sections `user_pool`, `lost_sign_ups` and `trigger_policy`: whether sign-ups reach this module."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import describe_sign_up
from cognito_user_sync_cli.log_lines import json_lines
from cognito_user_sync_cli.pauses import PartName, part
from cognito_user_sync_cli.status_sections.findings import RECENT, Fact, Findings, Problem, check_log_group
from cognito_user_sync_cli.terminal import counted

# The number of subs in the text of a problem, and the number of executions that are described. JSON has all subs.
_SUBS_SHOWN, _SUBS_DESCRIBED = 10, 100


def check_user_pool(deployment: Deployment) -> Findings:
    answer = none_if_missing(lambda: deployment.cognito.describe_user_pool(UserPoolId=deployment.user_pool_id))
    if answer is None:
        yield Problem(
            f"the user pool {deployment.user_pool_id} does not exist, so nothing can be synced. The table still has"
            " the users of the last sync: leave it unchanged"
        )
        return
    pool = answer["UserPool"]
    trigger = pool.get("LambdaConfig", {}).get("PostConfirmation")
    is_attached = trigger == deployment.post_confirmation_function_arn
    yield Fact("trigger", trigger, f"trigger {'' if is_attached else 'not '}attached: {trigger or 'none'}")
    yield Fact("is_attached", is_attached)
    users = pool.get("EstimatedNumberOfUsers", 0)
    yield Fact("users", users, f"{users:,} users (estimate of Cognito, includes unconfirmed users)")
    is_paused = _is_trigger_paused(deployment)
    if is_attached and is_paused:
        yield Problem("the trigger is paused, but attached. To detach it: cognito-user-sync pause trigger")
    if not is_attached and not is_paused:
        yield Problem(
            f"the pool's post-confirmation trigger is {trigger or 'none'}, not this module's: new sign-ups are not"
            f" synced and get no welcome email. {_how_to_attach(deployment, trigger)}"
        )


def _is_trigger_paused(deployment: Deployment) -> bool:
    if "pool-trigger" not in deployment.function_arns:
        return False
    return bool(none_if_missing(part(deployment, PartName.TRIGGER).is_paused))


def _how_to_attach(deployment: Deployment, trigger: str | None) -> str:
    if deployment.user_pool_trigger["attached_function_arn"] is None:
        return "Set the trigger to the output post_confirmation_function_arn in the configuration of the pool"
    if trigger:
        return "Remove that trigger, or set chained_function_arn to its ARN, and apply"
    return "To attach it again: cognito-user-sync reconcile"


def check_trigger_policy(deployment: Deployment) -> Findings:
    """Check that the trigger's role has its policy. Without it, each sign-up is lost."""
    function = f"{deployment.prefix}-post-confirmation"
    found = none_if_missing(lambda: deployment.functions.get_function_configuration(FunctionName=function))
    if found is None:
        # The section `functions` reports it.
        return
    role = found["Role"].rpartition("/")[2]
    policy = none_if_missing(lambda: deployment.iam.get_role_policy(RoleName=role, PolicyName=function))
    yield Fact("exists", policy is not None, "exists" if policy else "")
    if policy is None:
        yield Problem(
            f"the role {role} has no policy {function}, so each sign-up is lost: apply again. Then:"
            f" {_sync_of_last_day(deployment)}"
        )


def check_lost_sign_ups(deployment: Deployment) -> Findings:
    """Read the ERROR lines of post_confirmation: they are the only record of a sign-up not started and not queued."""
    function = f"{deployment.prefix}-post-confirmation"
    group = f"/aws/lambda/{function}"
    if not (yield from check_log_group(deployment, group)):
        return
    found_lines = json_lines(deployment.logs, group, '{ $.level = "ERROR" }', datetime.now(UTC) - RECENT)
    # The local AWS ignores the pattern.
    lines = [line for line in found_lines if line.get("level") == "ERROR"]
    logged = dict.fromkeys(line["sub"] for line in lines if line.get("sub"))
    states, machine = deployment.states, deployment.user_sync_state_machine_arn
    try:
        started = {sub for sub in islice(logged, _SUBS_DESCRIBED) if describe_sign_up(states, machine, sub)}
    except (BotoCoreError, ClientError):
        yield Fact("subs", list(logged), f"at most {len(logged):,} in 24 hours")
        raise
    subs = [sub for sub in logged if sub not in started]
    yield Fact("subs", subs, f"{len(subs):,} in 24 hours")
    if subs:
        more = f" and {len(subs) - _SUBS_SHOWN:,} more" if len(subs) > _SUBS_SHOWN else ""
        yield Problem(
            f"{counted(len(subs), 'sign-up')} lost in the last 24 hours, not synced and without a welcome email:"
            f" {', '.join(subs[:_SUBS_SHOWN])}{more}. To see the cause: aws logs tail {group} --since 1d --region"
            f" {deployment.region}. When the cause is fixed: {_sync_of_last_day(deployment)}"
        )
    others = sum(not line.get("sub") for line in lines)
    yield Fact("other_errors", others)
    if others:
        yield Problem(
            f"the function {function} logged {counted(others, 'other error')} in 24 hours: aws logs tail {group}"
            f" --since 1d --region {deployment.region}"
        )


def _sync_of_last_day(deployment: Deployment) -> str:
    """Return the command for users whose sign-up was lost."""
    # `welcome` needs a deployment with a welcome email.
    return f"cognito-user-sync {'welcome --since 24h' if 'send-welcome' in deployment.function_arns else 'reconcile'}"
