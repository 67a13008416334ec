"""Greets a user by email: the last step of a sign-up's user_sync execution."""

from __future__ import annotations

import logging
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.sync_request import parse
from cognito_user_sync.welcome_email import WelcomeEmail, deliverable_address, placeholder_values

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

logger = logging.getLogger(__name__)


@cache
def _ses(region: str | None = None) -> SESV2Client:
    # One attempt: botocore would repeat a send that timed out, and that may have gone out.
    config = Config(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 1})
    return boto3.client("sesv2", region_name=region, config=config)


@cache
def _welcome() -> WelcomeEmail:
    # In the function's layer, whose folder python/ Lambda puts on sys.path:
    # https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
    files = (Path(folder, "welcome_email.json") for folder in sys.path)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise settings.MissingSetting("no layer of this function has the file welcome_email.json")
    return WelcomeEmail.from_json(file.read_text(encoding="utf-8"))


@cache
def _settings() -> settings.SendWelcomeSettings:
    return settings.send_welcome()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """A SyncRequest in; {"sent": true, "message_id"} or {"sent": false, "reason"} out.

    Raises what WelcomeEmail.send raises.
    """
    request = parse(event)
    welcome = _welcome()
    address = deliverable_address(request.attributes.get("email", ""))
    if welcome.app_client_ids and request.client_id not in welcome.app_client_ids:
        return _not_sent(request.sub, "signed up through another app client")
    if welcome.verified_only and request.attributes.get("email_verified") != "true":
        return _not_sent(request.sub, "the email address is not verified")
    if address is None:
        return _not_sent(request.sub, "no deliverable email address")
    values = placeholder_values(request.sub, request.username, request.attributes, _settings().attributes)
    message_id = welcome.send(_ses(welcome.region), address, welcome.render(values))
    logger.info("welcome sent", extra={"sub": request.sub, "message_id": message_id})
    return {"sent": True, "message_id": message_id}


def _not_sent(sub: str, reason: str) -> dict[str, Any]:
    logger.info("welcome not sent", extra={"sub": sub, "reason": reason})
    return {"sent": False, "reason": reason}
