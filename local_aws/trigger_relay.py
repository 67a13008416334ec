"""Invokes a user pool's PostConfirmation trigger as Cognito does.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-confirmation.html
The trigger runs after the confirmation, so the user stays confirmed if it fails.
"""

from __future__ import annotations

import contextvars
import os
import threading
from dataclasses import dataclass
from typing import Any, Final

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import request_scope
from ministack.services import cognito, lambda_svc

from local_aws.in_process_calls import invoking_service
from local_aws.service_errors import Response, json_error

Json = dict[str, Any]

# The first sign-in of a user through an identity provider. It is not an API call.
FEDERATED_SIGN_IN: Final = "FederatedSignIn"
TRIGGER_SOURCES: Final = {
    FEDERATED_SIGN_IN: "PostConfirmation_ConfirmSignUp",
    # If a pre-sign-up trigger confirms the user.
    "SignUp": "PostConfirmation_ConfirmSignUp",
    "ConfirmSignUp": "PostConfirmation_ConfirmSignUp",
    "AdminConfirmSignUp": "PostConfirmation_ConfirmSignUp",
    "ConfirmForgotPassword": "PostConfirmation_ConfirmForgotPassword",
}
_COGNITO: Final = "cognito-idp.amazonaws.com"
_ATTEMPTS: Final = 3
# Cognito's limit is five seconds and cannot be changed. A test may shorten it.
_LIMIT_SECONDS: Final = float(os.environ.get("LOCAL_AWS_TRIGGER_TIMEOUT_SECONDS", "5"))


@dataclass(frozen=True)
class Pool:
    account: str
    region: str
    id: str
    settings: Json

    @property
    def arn(self) -> str:
        return f"arn:aws:cognito-idp:{self.region}:{self.account}:userpool/{self.id}"


class TriggerError(Exception):
    """Cognito's error for a failed trigger."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def fire(action: str, data: Json) -> Response | None:
    """Invoke the trigger after a confirmation. Returns Cognito's error if it fails, or None."""
    pool = find_pool(data)
    if pool is None:
        return None
    with request_scope(pool.account, pool.region):
        function = (pool.settings.get("LambdaConfig") or {}).get("PostConfirmation")
        user, _ = cognito._resolve_user(pool.settings, data.get("Username"))
        if not function or user is None:
            return None
        try:
            _invoke(pool, function, trigger_event(action, data, pool, user))
        except TriggerError as failed:
            return json_error(failed.code, str(failed))
        return None


def find_pool(data: Json) -> Pool | None:
    """Return the pool that a request names by its ID or by one of its app clients."""
    for (account, region, pool_id), settings in cognito._user_pools.all_items():
        if pool_id == data.get("UserPoolId") or data.get("ClientId") in settings["_clients"]:
            return Pool(account, region, pool_id, settings)
    return None


def trigger_event(action: str, data: Json, pool: Pool, user: Json) -> Json:
    attributes = {attribute["Name"]: attribute["Value"] for attribute in user["Attributes"]}
    for name in ("email", "phone_number"):
        if name in attributes:
            attributes.setdefault(f"{name}_verified", "false")
    request: Json = {"userAttributes": {**attributes, "cognito:user_status": user["UserStatus"]}}
    if "ClientMetadata" in data:
        request["clientMetadata"] = data["ClientMetadata"]
    return {
        "version": "1",
        "region": pool.region,
        "userPoolId": pool.id,
        "userName": user["Username"],
        "callerContext": {
            "awsSdkVersion": "aws-sdk-unknown-unknown",
            "clientId": data.get("ClientId", "CLIENT_ID_NOT_APPLICABLE"),
        },
        "triggerSource": TRIGGER_SOURCES[action],
        "request": request,
        "response": {},
    }


def _invoke(pool: Pool, function_arn: str, event: Json) -> None:
    record, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if record is None or config is None:
        raise TriggerError(
            "UnexpectedLambdaException",
            "PostConfirmation invocation failed due to error ResourceNotFoundException.",
        )
    if not _may_invoke(pool, function_arn, record):
        raise TriggerError(
            "UnexpectedLambdaException",
            "PostConfirmation invocation failed due to error AccessDeniedException.",
        )
    executable = lambda_svc._execution_record_for_config(record, config)
    failure = ""
    for _ in range(_ATTEMPTS):
        result = _attempt(executable, event)
        if result is None:
            failure = "Socket timeout while invoking Lambda function"
        elif result.get("throttle"):
            failure = "TooManyRequestsException"
        elif fault := result.get("local_aws_fault"):
            failure = _NOT_INVOKED[fault]
        else:
            _check(result)
            return
    raise TriggerError("UnexpectedLambdaException", f"PostConfirmation invocation failed due to error {failure}.")


_NOT_INVOKED: Final = {
    "throttle": "TooManyRequestsException",
    "500": "ServiceException",
    "timeout": "Socket timeout while invoking Lambda function",
    "reset": "Socket timeout while invoking Lambda function",
    "access_denied": "AccessDeniedException",
    "kms_access_denied": "KMSAccessDeniedException",
    "kms_invalid_state": "KMSInvalidStateException",
}


def _check(result: Json) -> None:
    body = result.get("body")
    if result.get("error"):
        message = body.get("errorMessage") if isinstance(body, dict) else body
        raise TriggerError("UserLambdaValidationException", f"PostConfirmation failed with error {message}.")
    if not isinstance(body, dict) or not isinstance(body.get("response"), dict):
        raise TriggerError("InvalidLambdaResponseException", "Unrecognizable lambda output")


def _attempt(executable: Json, event: Json) -> Json | None:
    """Return the result of an invocation, or None at a timeout. The function then continues, as on AWS."""
    results: list[Json] = []

    def invoke() -> None:
        invoking_service.set(_COGNITO)
        results.append(lambda_svc._execute_function_with_config_scope(executable, event))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(invoke,), daemon=True)
    thread.start()
    thread.join(_LIMIT_SECONDS)
    return results[0] if results else None


def _may_invoke(pool: Pool, function_arn: str, record: Json) -> bool:
    """Return whether the function's policy lets Cognito invoke it for this pool."""
    context = EvalContext(
        principal_arn=_COGNITO,
        principal_type="AWSService",
        principal_account=pool.account,
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=pool.region,
        service_context={"aws:sourcearn": pool.arn, "aws:sourceaccount": pool.account},
    )
    policy = record.get("policy") or {}
    return bool(evaluate_resource_policy(policy, context, service=_COGNITO).decision == "Allow")
