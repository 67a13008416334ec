"""Sends the welcome email to a user who has signed up: the last step of a user_sync execution."""

from __future__ import annotations

import logging
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import clients, log_fields, settings
from cognito_user_sync.sync_request import NotConsistentYetError, SyncRequest, parse
from cognito_user_sync.user import UNCONFIRMED
from cognito_user_sync.user_table import Outcome
from cognito_user_sync.welcome_email import WelcomeEmail, placeholder_values
from cognito_user_sync.welcome_outcome import SENT, WhyNot

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

logger = logging.getLogger(__name__)


@cache
def _ses(region: str | None = None) -> SESV2Client:
    # One attempt: botocore would repeat a request that timed out, although SES may have sent the email.
    config = Config(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 1})
    return boto3.client("sesv2", region_name=region, config=config)


@cache
def _welcome() -> WelcomeEmail:
    # The file is in the function's layer. Lambda adds its folder python/ to sys.path:
    # https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
    files = (Path(folder, "welcome_email.json") for folder in sys.path)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise settings.MissingSettingError("the layers of this function have no file welcome_email.json")
    return WelcomeEmail.from_json(file.read_text(encoding="utf-8"))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Send the welcome email to a user who signed up.

    Args:
        event: The output of SyncUser.
        context: Lambda's context.

    Returns:
        The event with `sent`, and with `message_id` or `why_not`, a WhyNot.

    Raises:
        NotConsistentYetError, CognitoUnavailableError, AccessDeniedError: The state machine retries these.
        InvalidEventError, CognitoRejectedError, UnusableUserError, and the errors of WelcomeEmail.send
    """
    request = parse(event)
    with log_fields.failure_logged(request.sub):
        return _welcome_user(event, request)


def _welcome_user(event: dict[str, Any], request: SyncRequest) -> dict[str, Any]:
    if request.reason != "sign_up":
        # Not logged, because CloudWatch counts the log lines of sign-ups.
        return {**event, "sent": False, "why_not": WhyNot.NOT_A_SIGN_UP}
    welcome = _welcome()
    if welcome.app_client_ids and request.client_id not in welcome.app_client_ids:
        return _not_sent(event, WhyNot.OTHER_APP_CLIENT)
    user = clients.user_pool().get(request.username)
    if user is None or user.sub != request.sub:
        return _not_sent(event, WhyNot.USER_DELETED)
    if not user.enabled:
        return _not_sent(event, WhyNot.USER_DISABLED)
    if user.status == UNCONFIRMED:
        if event.get("outcome") != Outcome.UNCONFIRMED:
            raise NotConsistentYetError(user.sub)  # SyncUser has seen the confirmation
        return _not_sent(event, WhyNot.USER_UNCONFIRMED)
    address = welcome.recipient(user.attributes)
    if isinstance(address, WhyNot):
        return _not_sent(event, address)
    values = placeholder_values(user.sub, user.username, user.status, user.attributes, settings.synced_attributes())
    email = welcome.render(values, user.attributes.get("locale", ""))
    message_id = welcome.send(_ses(welcome.region), address, email, user.sub)
    # CloudWatch counts the values of welcome_email (modules/monitoring/log_metrics.tf).
    logger.info("welcome sent", extra={"sub": request.sub, "message_id": message_id, "welcome_email": SENT})
    return {**event, "sent": True, "message_id": message_id}


def _not_sent(event: dict[str, Any], why_not: WhyNot) -> dict[str, Any]:
    logger.info("welcome not sent", extra={"sub": event["sub"], "welcome_email": why_not})
    return {**event, "sent": False, "why_not": why_not}
