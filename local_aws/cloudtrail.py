"""Publishes CloudTrail's record of each call that changes a user or a group, as EventBridge does if there is a trail.

https://docs.aws.amazon.com/cognito/latest/developerguide/logging-using-cloudtrail.html
"""

from __future__ import annotations

import json
import logging
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ministack.core.responses import request_scope
from ministack.services import cognito, eventbridge

from local_aws import cognito_settings
from local_aws.trigger_relay import Pool, find_pool

if TYPE_CHECKING:
    from local_aws.operations import Call
    from local_aws.service_errors import Response

Json = dict[str, Any]
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
DETAIL_TYPE: Final = "AWS API Call via CloudTrail"
RECORDED: Final = frozenset(
    {
        "AdminAddUserToGroup",
        "AdminConfirmSignUp",
        "AdminCreateUser",
        "AdminDeleteUser",
        "AdminDeleteUserAttributes",
        "AdminDisableProviderForUser",
        "AdminDisableUser",
        "AdminEnableUser",
        "AdminLinkProviderForUser",
        "AdminRemoveUserFromGroup",
        "AdminResetUserPassword",
        "AdminRespondToAuthChallenge",
        "AdminSetUserMFAPreference",
        "AdminSetUserPassword",
        "AdminUpdateUserAttributes",
        "ChangePassword",
        "ConfirmForgotPassword",
        "ConfirmSignUp",
        "CreateGroup",
        "DeleteGroup",
        "DeleteUser",
        "DeleteUserAttributes",
        "RespondToAuthChallenge",
        "SetUserMFAPreference",
        "SignUp",
        "UpdateUserAttributes",
        "VerifyUserAttribute",
    }
)
_SHOWN: Final = ("UserPoolId", "ClientId", "UserAttributeNames", "GroupName", "AttributeName", "ChallengeName")
_log = logging.getLogger(__name__)


class Record:
    """The record of one call. Create it before the call, which may delete the user or change its name."""

    def __init__(self, call: Call, data: Json) -> None:
        self.call = call
        self.data = data
        self.pool = _pool(data)
        # A new user has a sub after the call. The emulator would compare all users of the pool to find none.
        self.sub = None if call.action in {"SignUp", "AdminCreateUser"} else _sub(self.pool, data)
        # CloudTrail has whole seconds.
        self.time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def publish(self, response: Response) -> None:
        """Put the record on the default event bus. A failure is logged, because the call itself has ended."""
        pool = self.pool
        if pool is None:
            return
        entry = {
            "Source": "aws.cognito-idp",
            "DetailType": DETAIL_TYPE,
            "Detail": json.dumps(self._detail(pool, response)),
        }
        with request_scope(pool.account, pool.region):
            try:
                eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
            except Exception:  # noqa: BLE001 - see the docstring
                _log.exception("no CloudTrail event for %s", self.call.operation)

    def _detail(self, pool: Pool, response: Response) -> Json:
        status, headers, body = response
        sub = self.sub or _sub(pool, self.data)
        additional: Json = {} if sub is None else {"sub": sub}
        if "UserPoolId" not in self.data and cognito_settings.in_force.current.self_service_names_pool:
            additional["userPoolId"] = pool.id
        return {
            "eventVersion": "1.08",
            "userIdentity": _identity(self.call.caller, pool.account),
            "eventTime": self.time,
            "eventSource": "cognito-idp.amazonaws.com",
            "eventName": self.call.action,
            "awsRegion": pool.region,
            "sourceIPAddress": "127.0.0.1",
            "userAgent": "local_aws",
            **(_error(body) if status != 200 else {}),
            "requestParameters": {
                key[0].lower() + key[1:]: value if key in _SHOWN else HIDDEN for key, value in self.data.items()
            },
            "responseElements": None,
            "additionalEventData": additional,
            "requestID": headers.get("x-amzn-requestid", str(uuid.uuid4())),
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": pool.account,
            "eventCategory": "Management",
        }


def _identity(caller: str, account: str) -> Json:
    if caller == "anonymous":
        return {"type": "Unknown", "principalId": "Anonymous"}
    if caller == "root":
        return {
            "type": "Root",
            "principalId": account,
            "arn": f"arn:aws:iam::{account}:root",
            "accountId": account,
        }
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{account}:assumed-role/{caller}",
        "accountId": account,
    }


def _error(body: bytes) -> Json:
    error = json.loads(body)
    return {
        "errorCode": str(error.get("__type", "")).rpartition("#")[2],
        "errorMessage": error.get("message", ""),
    }


def _pool(data: Json) -> Pool | None:
    if "AccessToken" in data:
        return find_pool({"UserPoolId": cognito._pool_id_from_token(data["AccessToken"])})
    return find_pool(data)


def _sub(pool: Pool | None, data: Json) -> str | None:
    if pool is None:
        return None
    destination = data.get("DestinationUser") or data.get("User") or {}
    responses = data.get("ChallengeResponses") or {}
    username = data.get("Username") or responses.get("USERNAME") or destination.get("ProviderAttributeValue")
    user = (
        cognito._user_from_token(data["AccessToken"], pool.settings)
        if "AccessToken" in data
        else cognito._resolve_user(pool.settings, username)[0]
    )
    attributes = (user or {}).get("Attributes", [])
    return next((attribute["Value"] for attribute in attributes if attribute["Name"] == "sub"), None)
