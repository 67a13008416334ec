"""Attaches and detaches the post-confirmation trigger of an existing user pool, and changes no other setting.

UpdateUserPool resets all settings that a request leaves out. So each change reads the whole configuration, and sends it
back with one field changed, as raw JSON: an older boto3 would drop, and so reset, settings that it does not know. After
the update the configuration is read again and compared, setting by setting.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions
from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync import pool_configuration, raw_requests
from cognito_user_sync.pool_configuration import Json, Path, settings_by_path, trigger_of, without

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

# Another client is updating the pool, Cognito is busy, or a new policy is not effective yet (IAM is eventually
# consistent).
_RETRYABLE = frozenset(
    {"AccessDeniedException", "ConcurrentModificationException", "ThrottlingException", "TooManyRequestsException"}
)
# No response arrived.
_UNANSWERED = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)

# Reserved for an update that gets no response, and for the read that verifies it.
_VERIFICATION_SECONDS = 20.0

# DescribeUserPool may show the pool as before the update for this time.
_LAG_SECONDS = 10.0
_LAG_PAUSE_SECONDS = 0.5

Answer = TypeVar("Answer")

# Result of attaching a trigger that was attached.
ATTACHED_ALREADY = "attached already"

# Settings of UpdateUserPool that depend on the pool's feature plan. If the plan lacks the feature, Cognito may still
# show them, with defaults or from an earlier plan, and then rejects a request that has them.
# https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-sign-in-feature-plans.html
_FEATURE_PLAN_SETTINGS: tuple[Path, ...] = (
    ("AcrConfiguration",),
    ("UserPoolAddOns",),
    ("Policies", "SignInPolicy"),
    ("Policies", "PasswordPolicy", "PasswordHistorySize"),
)


class ForeignTriggerError(Exception):
    """The pool has a post-confirmation trigger of another application. The message names it."""


class PoolChangedError(Exception):
    """After the update, other settings than the trigger differ. The message names them."""


class PoolUnverifiedError(Exception):
    """The update was sent, but the pool could not be read afterwards: other settings may have changed."""


class UpdateRejectedError(Exception):
    """Cognito rejects the update, and nothing was changed. The message has the fix."""


@dataclass(frozen=True)
class PoolTrigger:
    """The post-confirmation trigger of the pool `id`.

    Calls are retried here, while Cognito is busy and `seconds_left` returns enough time. So `client` must make one
    attempt per call: an update must not be retried without a new read, or it could undo another client's change.
    """

    client: CognitoIdentityProviderClient
    id: str
    seconds_left: Callable[[], float]

    def attach(self, function_arn: str, chained_function_arn: str | None) -> str:
        """Make `function_arn` the post-confirmation trigger. Idempotent. Returns what was done, in words.

        Raises:
            ForeignTriggerError: The trigger is neither this function nor the chained function. Nothing was changed.
            UpdateRejectedError: Cognito rejects the update. Nothing was changed.
            PoolChangedError, PoolUnverifiedError: After the update.
        """
        attempt = partial(self._attach, function_arn, chained_function_arn)
        return self._retry_while_busy(attempt, _VERIFICATION_SECONDS)

    def detach(self, function_arn: str, chained_function_arn: str | None) -> str:
        """Make `chained_function_arn` the trigger again, or remove the trigger. Returns what was done, in words.

        Does nothing if the trigger is not `function_arn`, or if the pool does not exist.

        Raises:
            UpdateRejectedError: Cognito rejects the update. Nothing was changed.
            PoolChangedError, PoolUnverifiedError: After the update.
        """
        attempt = partial(self._detach, function_arn, chained_function_arn)
        try:
            return self._retry_while_busy(attempt, _VERIFICATION_SECONDS)
        except self.client.exceptions.ResourceNotFoundException:
            return "nothing to detach: the user pool does not exist"

    def _attach(self, function_arn: str, chained_function_arn: str | None) -> str:
        before = self._read()
        current = trigger_of(before)
        if current == function_arn:
            return ATTACHED_ALREADY
        if current not in {None, chained_function_arn}:
            raise ForeignTriggerError(
                f"user pool {self.id} has the post-confirmation trigger {current} of another application. To keep it,"
                f" and have it invoked after this module's own function, set chained_function_arn to exactly this ARN."
                f" Otherwise remove it from the pool. Nothing was changed."
            )
        self._change_trigger(before, function_arn)
        return f"attached, in place of {current}" if current else "attached"

    def _detach(self, function_arn: str, chained_function_arn: str | None) -> str:
        before = self._read()
        current = trigger_of(before)
        if current != function_arn:
            return f"nothing to detach: the trigger is {current or 'not set'}"
        if chained_function_arn != current:
            self._change_trigger(before, chained_function_arn)
        return f"detached, {chained_function_arn} restored" if chained_function_arn else "detached"

    def _change_trigger(self, before: Json, trigger: str | None) -> None:
        """Set the trigger in the configuration that was read before, and verify that no other setting changed."""
        expected = pool_configuration.with_trigger(before, trigger)
        self._send_update(expected, before)
        self._verify(expected, before)

    def _send_update(self, expected: Json, before: Json) -> None:
        """Update the pool. Raises the error of an update that did not take effect."""
        try:
            self._update(expected["UpdateUserPool"])
        except self.client.exceptions.ResourceNotFoundException:
            raise
        except (ClientError, *_UNANSWERED) as error:
            if isinstance(error, ClientError) and not _is_retryable(error):
                raise self._update_rejected(error, before) from error
            if not _may_have_taken_effect(error) or not self._has_trigger(trigger_of(expected), before):
                raise

    def _has_trigger(self, trigger: str | None, before: Json) -> bool:
        try:
            return trigger_of(self._read_after_update(before)) == trigger
        except (BotoCoreError, ClientError) as error:
            raise self._unverified(error) from error

    def _verify(self, expected: Json, before: Json) -> None:
        """Raise PoolChangedError unless the pool has exactly the settings of the update.

        Lost settings are restored first. A setting with another value is not: another client may have changed it.
        """
        settings = settings_by_path(expected)
        with self._errors_as_unverified():
            found = self._read_after_update(before)
        lost = settings.keys() - settings_by_path(found).keys() - {pool_configuration.TRIGGER}
        rejections: list[str] = []
        if lost:
            with self._errors_as_unverified(lost):
                rejections = self._restore({path: settings[path] for path in lost})
                found = self._read_after_update(found)
        if differences := _differences(settings, settings_by_path(found), lost, rejections):
            raise PoolChangedError(
                f"user pool {self.id}, after the update of its trigger: {differences}."
                f" Compare the pool's settings with its configuration."
            )

    @contextmanager
    def _errors_as_unverified(self, lost: Set[Path] = frozenset()) -> Iterator[None]:
        """Raise PoolUnverifiedError for errors after an update.

        They must not be retried with the update: the next attempt would find the trigger attached, and verify nothing.
        """
        try:
            yield
        except self.client.exceptions.ResourceNotFoundException:
            raise
        except (BotoCoreError, ClientError) as error:
            raise self._unverified(error, lost) from error

    def _unverified(self, error: Exception, lost: Set[Path] = frozenset()) -> PoolUnverifiedError:
        disappeared = f"; {_names(lost)} disappeared" if lost else ""
        return PoolUnverifiedError(
            f"user pool {self.id}: the trigger may have been changed, but the pool could not be verified afterwards:"
            f" {error}{disappeared}. Compare the pool's settings with its configuration."
        )

    def _restore(self, lost: Mapping[Path, Any]) -> list[str]:
        """Restore lost settings. Returns which operations Cognito rejected, with its error codes."""
        rejections = []
        for operation in sorted({path[0] for path in lost}):
            try:
                self._retry_while_busy(partial(self._send_missing, operation, lost))
            except ClientError as error:
                if _is_retryable(error):
                    raise
                rejections.append(f"{operation}: {error.response['Error']['Code']}")
        return rejections

    def _send_missing(self, operation: str, settings: Mapping[Path, Any]) -> None:
        """Add settings that the pool lacks to its current configuration."""
        request = pool_configuration.with_missing(self._read(), settings)[operation]
        if operation == "UpdateUserPool":
            self._update(request)
        else:
            self._set_mfa(request)

    def _set_mfa(self, request: Json) -> None:
        """Send SetUserPoolMfaConfig, without factors if MFA is off.

        Cognito rejects them together: "can't turn off MFA and configure an MFA together".
        """
        is_off = request.get("MfaConfiguration") == "OFF"
        self._send("SetUserPoolMfaConfig", pool_configuration.without_mfa_factors(request) if is_off else request)

    def _update(self, request: Json) -> None:
        """Send UpdateUserPool, without settings that Cognito shows but does not accept.

        A rejected request changes nothing, so each such setting is left out in turn. It stays left out only if Cognito
        then accepts the request, or rejects it for another reason.
        """
        rejection = self._rejection(request)
        while rejection:
            for path in _optional_settings(rejection, request):
                shorter = without(request, path)
                other = self._rejection(shorter)
                if str(other) != str(rejection):
                    request, rejection = shorter, other
                    break
            else:
                raise rejection

    def _rejection(self, request: Json) -> ClientError | None:
        """Send UpdateUserPool. Returns the error of a rejected request, and raises retryable errors."""
        try:
            self._send("UpdateUserPool", request)
        except ClientError as error:
            if _is_retryable(error):
                raise
            return error
        return None

    def _update_rejected(self, error: ClientError, before: Json) -> UpdateRejectedError:
        return UpdateRejectedError(
            f"user pool {self.id} still has the post-confirmation trigger {trigger_of(before) or 'none'}: Cognito"
            f" rejects UpdateUserPool, although it changes no other setting of the pool. {str(error).rstrip('.')}."
            f" {_remedy(error, before['UpdateUserPool'])} Then run the apply or destroy again. A destroy also ends once"
            f' the pool has another trigger, or none: docs/operations.md, "The trigger cannot be detached".'
        )

    def _read_after_update(self, before: Json) -> Json:
        """Read the pool. Retries for some seconds while it looks exactly as before the update.

        DescribeUserPool is eventually consistent.
        """
        ends_at = max(self.seconds_left() - _LAG_SECONDS, 1)
        while True:
            found = self._retry_while_busy(self._read)
            if settings_by_path(found) != settings_by_path(before) or self.seconds_left() <= ends_at:
                return found
            time.sleep(_LAG_PAUSE_SECONDS)

    def _read(self) -> Json:
        pool = self._send("DescribeUserPool", {"UserPoolId": self.id})["UserPool"]
        mfa = self._send("GetUserPoolMfaConfig", {"UserPoolId": self.id})
        return pool_configuration.from_responses(self.id, pool, mfa)

    def _send(self, operation: str, request: Json) -> Json:
        return raw_requests.send(self.client, operation, request)

    def _retry_while_busy(self, act: Callable[[], Answer], reserved_seconds: float = 0) -> Answer:
        """Return the result of `act`, which is retried while Cognito is busy and more than `reserved_seconds` are left.

        An update must be retried together with the read before it: another client, with which it conflicted, may have
        changed a setting, and the configuration of the old read would undo that.
        """
        pause_seconds = 0.5
        while True:
            try:
                return act()
            except (ClientError, *_UNANSWERED) as error:
                if not _is_retryable(error) or self.seconds_left() < reserved_seconds + 2 * pause_seconds:
                    raise
            time.sleep(pause_seconds * random.uniform(0.5, 1))  # noqa: S311
            pause_seconds = min(2 * pause_seconds, 8)


def _is_retryable(error: BotoCoreError | ClientError) -> bool:
    if not isinstance(error, ClientError):
        return True
    return _may_have_taken_effect(error) or error.response["Error"]["Code"] in _RETRYABLE


def _may_have_taken_effect(error: BotoCoreError | ClientError) -> bool:
    """Return whether an update may have taken effect although it ended with this error."""
    return not isinstance(error, ClientError) or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500


def _optional_settings(rejection: ClientError, request: Json) -> list[Path]:
    """Return settings that Cognito may show, but reject in a request that does not change them."""
    settings: Sequence[Path] = ()
    match rejection.response["Error"]["Code"]:
        case "FeatureUnavailableInTierException":
            settings = _FEATURE_PLAN_SETTINGS
        case "InvalidParameterException":
            # Cognito accepts only one of the two messages, that of the option in use:
            # https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
            template = request.get("VerificationMessageTemplate") or {}
            if {"EmailMessage", "EmailMessageByLink"} <= template.keys():
                by_link = template.get("DefaultEmailOption") == "CONFIRM_WITH_LINK"
                settings = [("VerificationMessageTemplate", "EmailMessage" if by_link else "EmailMessageByLink")]
    return [path for path in settings if without(request, path) != request]


def _remedy(rejection: ClientError, settings: Json) -> str:
    """Return what an operator must do before Cognito accepts the pool's own settings again."""
    sms = settings.get("SmsConfiguration") or {}
    role, external_id = sms.get("SnsCallerArn"), sms.get("ExternalId")
    match rejection.response["Error"]["Code"]:
        case "InvalidSmsRoleTrustRelationshipException":
            return (
                f"Create the pool's SMS role {role} again, or fix its trust policy: it must let"
                f" cognito-idp.amazonaws.com assume the role with the external ID {external_id}."
            )
        case "InvalidSmsRoleAccessPolicyException":
            return f"Allow sns:Publish to the pool's SMS role {role}."
        case "UserImportInProgressException":
            return "Wait until the pool's user import job has ended, or stop the job."
        case _:
            return "Fix the setting in Cognito's message."


def _differences(
    expected: Mapping[Path, Any], found: Mapping[Path, Any], lost: Set[Path], rejections: Sequence[str]
) -> str:
    """Return how the settings found differ from the expected ones, in words. `lost` differed at first."""
    different = {path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path)}
    why = f": {', '.join(rejections)}" if rejections else ""
    return "; ".join(
        f"{_names(paths)} {what}"
        for paths, what in (
            (different - lost, "had another value (kept: another client may have changed it)"),
            (different & lost, f"disappeared (could not be restored{why})"),
            (lost - different, "disappeared (restored)"),
        )
        if paths
    )


def _names(paths: Set[Path]) -> str:
    return ", ".join(sorted({".".join(path[1:]) for path in paths}))
