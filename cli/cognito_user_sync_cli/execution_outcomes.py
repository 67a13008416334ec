"""The outcome of an execution of user_sync, and of its welcome email, as data and in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cognito_user_sync.user import INVITED, UNCONFIRMED, User
from cognito_user_sync.welcome_outcome import SENT, WhyNot
from cognito_user_sync_cli.executions import FAILED, cause_of

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

# Values of `Execution.welcome_email["result"]`, besides SENT.
_SKIPPED, _NOT_SENT, _UNKNOWN = "skipped", "not_sent", "unknown"

# Why a welcome email was not sent, in words.
WHY_NOT: dict[str, str] = {
    WhyNot.NOT_A_SIGN_UP: "not a sign-up",
    WhyNot.OTHER_APP_CLIENT: "the app client of the sign-up is not in welcome_email.app_client_ids",
    WhyNot.USER_DELETED: "the user is deleted",
    WhyNot.USER_DISABLED: "the user is disabled",
    WhyNot.USER_UNCONFIRMED: "the user has not confirmed the sign-up",
    WhyNot.NO_DELIVERABLE_ADDRESS: "no deliverable email address",
    WhyNot.ADDRESS_NOT_VERIFIED: "the email address is not verified",
}


@dataclass(frozen=True)
class Execution:
    """An execution of user_sync and its outcome.

    Attributes:
        outcome: The outcome of the sync, or the error.
        welcome_email: The outcome of the welcome email. `result` is "sent", with `message_id`; "skipped", with
            `why_not`; or, if the execution failed, "not_sent" or "unknown". None if the execution sends no welcome
            email, or still runs.
    """

    name: str
    started_at: datetime
    status: str
    outcome: str
    welcome_email: dict[str, str] | None
    input: Any
    output: Any


def read_execution(states: SFNClient, described: DescribeExecutionOutputTypeDef) -> Execution:
    """Read the outcome from the answer of DescribeExecution. Makes one more request if the execution failed."""
    arn, status, outcome, welcome_email = described["executionArn"], described["status"], "", None
    given, output = json.loads(described.get("input") or "null"), json.loads(described.get("output") or "null")
    if status == "SUCCEEDED":
        outcome, welcome_email = str((output or {}).get("outcome", "")), _welcome_email(output or {})
    elif status in FAILED:
        cause = cause_of(states, arn, status)
        outcome = f"{cause.error} in {cause.state}" if cause.state else cause.error
        if isinstance(given, dict) and given.get("reason") == "sign_up":
            welcome_email = {"result": _UNKNOWN if cause.may_have_sent else _NOT_SENT}
    name = described.get("name", arn.rpartition(":")[2])
    return Execution(name, described["startDate"], status, outcome, welcome_email, given, output)


def _welcome_email(output: Mapping[str, Any]) -> dict[str, str] | None:
    """Return `Execution.welcome_email`. Without `sent` in the output, the deployment sends no welcome email."""
    if "sent" not in output:
        return None
    if output["sent"]:
        return {"result": SENT, "message_id": str(output.get("message_id", ""))}
    return {"result": _SKIPPED, "why_not": str(output.get("why_not", ""))}


def welcome_email_in_words(welcome_email: Mapping[str, str] | None) -> str:
    """Describe `Execution.welcome_email`. Return "" for None."""
    match welcome_email or {}:
        case {"message_id": message_id}:
            return f"sent, message ID {message_id}"
        case {"why_not": why_not}:
            # Executions of earlier versions have words in place of a code.
            return f"skipped: {WHY_NOT.get(why_not, why_not)}"
        case {"result": "unknown"}:
            return "unknown: it may have been sent"
        case {"result": _}:
            return "not sent: the execution failed"
    return ""


def welcome_email_of_user(user: User | None, executions: Sequence[Execution]) -> str:
    """Describe the welcome email of a user. If no execution has the outcome, describe why there may be none."""
    sign_up = next((each for each in executions if each.name.startswith("sign-up-")), None)
    if sign_up is not None:
        return welcome_email_in_words(sign_up.welcome_email) or (
            "not decided yet" if sign_up.status == "RUNNING" else "none: the deployment had no welcome_email"
        )
    if user is not None and user.status == UNCONFIRMED:
        return "none: the user has not confirmed the sign-up"
    if user is not None and user.status == INVITED:
        return "none: an administrator created the user, and the user has not signed in yet"
    return (
        "unknown: there is no execution of a sign-up. An administrator created or imported the user, or the sign-up was"
        " more than 90 days ago, or the trigger was not invoked (to send it: cognito-user-sync welcome SUB)"
    )
