"""Sets and clears the post-confirmation trigger of a user pool that somebody else owns, and nothing else of it.

UpdateUserPool resets every setting that a request leaves out, so each change reads the whole configuration and
sends it back with the one field changed. boto3 drops members that its model does not know, and so an older boto3
would reset a newer setting: the raw JSON is read and sent, with signing and errors still botocore's. Afterwards the
pool is read again and compared, setting by setting.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import botocore.exceptions
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

# Members of DescribeUserPool's answer that UpdateUserPool does not take: facts about the pool, not settings.
_NOT_SETTINGS = frozenset(
    {
        "AliasAttributes",
        "Arn",
        "CreationDate",
        "CustomDomain",
        "Domain",
        "EmailConfigurationFailure",
        "EstimatedNumberOfUsers",
        "Id",
        "LastModifiedDate",
        "Name",  # sent as PoolName
        "SchemaAttributes",
        "SmsConfigurationFailure",
        "Status",
        "UsernameAttributes",
        "UsernameConfiguration",
    }
)

# Somebody else is updating the pool, Cognito is busy, or a policy made a moment ago has not arrived everywhere (IAM
# is eventually consistent).
_TRY_AGAIN = frozenset(
    {"AccessDeniedException", "ConcurrentModificationException", "ThrottlingException", "TooManyRequestsException"}
)
# No answer came.
_UNANSWERED = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)

# Kept for an update that hangs and the look at its result: an update without that look would prove nothing.
_PROOF_SECONDS = 20.0

# DescribeUserPool may show the pool as it was before the update for so long.
_LAG_SECONDS = 10.0
_LAG_PAUSE_SECONDS = 0.5

Answer = TypeVar("Answer")
Json: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
"""Where a setting is: ("UpdateUserPool", "Policies", "PasswordPolicy", "MinimumLength")."""

_TRIGGER: Path = ("UpdateUserPool", "LambdaConfig", "PostConfirmation")

# What attaching did, if it did nothing.
ATTACHED_ALREADY = "attached already"

# Settings in a request of UpdateUserPool that depend on the pool's feature plan. Cognito may show them, with defaults
# or from an earlier plan, for a pool whose plan lacks the feature, and then rejects a request that has them.
# https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-sign-in-feature-plans.html
_FEATURE_PLAN_SETTINGS: tuple[Path, ...] = (
    ("AcrConfiguration",),
    ("UserPoolAddOns",),
    ("Policies", "SignInPolicy"),
    ("Policies", "PasswordPolicy", "PasswordHistorySize"),
)


class ForeignTriggerError(Exception):
    """The pool has a post-confirmation trigger that is not ours; the message names it."""


class PoolChangedError(Exception):
    """After the update the pool differs in more than the trigger; the message names the settings."""


class PoolUnverifiedError(Exception):
    """An update was sent, but then Cognito did not show the pool: whether anything else changed is unknown."""


class UpdateRejectedError(Exception):
    """Cognito does not accept an update of the pool, and nothing was changed; the message says what to do."""


@dataclass(frozen=True)
class PoolTrigger:
    """The pool `id`.

    `client` is to make one attempt a call: repeating an update without reading again could undo what somebody else has
    changed meanwhile. Calls are repeated here, while Cognito is busy and as long as `seconds_left` says there is time.
    """

    client: CognitoIdentityProviderClient
    id: str
    seconds_left: Callable[[], float]

    def attach(self, function_arn: str, chained_function_arn: str | None) -> str:
        """Make `function_arn` the post-confirmation trigger. Returns what was done, in words.

        Idempotent. Raises ForeignTriggerError for a trigger that is neither this function nor `chained_function_arn`,
        and UpdateRejectedError, before anything changes; PoolChangedError and PoolUnverifiedError after it.
        """

        def decide(current: str | None) -> tuple[str | None, str]:
            if current == function_arn:
                return current, ATTACHED_ALREADY
            if current not in {None, chained_function_arn}:
                raise ForeignTriggerError(
                    f"user pool {self.id} has the post-confirmation trigger {current}. To keep it, and have it called"
                    f" after this module's own function, set chained_function_arn to exactly this ARN; or remove it"
                    f" from the pool. Nothing was changed."
                )
            return function_arn, f"attached, in place of {current}" if current else "attached"

        return self._change_trigger(decide)

    def detach(self, function_arn: str, chained_function_arn: str | None) -> str:
        """Give the trigger back: to `chained_function_arn`, or to nobody. Returns what was done, in words.

        Does nothing where the trigger is not `function_arn`, or the pool is gone. Raises UpdateRejectedError before
        anything changes, and PoolChangedError and PoolUnverifiedError after it.
        """

        def decide(current: str | None) -> tuple[str | None, str]:
            if current != function_arn:
                return current, f"nothing to detach: the trigger is {current or 'not set'}"
            put_back = f", {chained_function_arn} put back" if chained_function_arn else ""
            return chained_function_arn, f"detached{put_back}"

        try:
            return self._change_trigger(decide)
        except self.client.exceptions.ResourceNotFoundException:
            return "nothing to detach: the user pool does not exist"

    def _change_trigger(self, decide: Callable[[str | None], tuple[str | None, str]]) -> str:
        """Give the pool the trigger that `decide` returns for the one it has, and prove that nothing else changed.

        Returns the words that `decide` returns with it. Sends no update where the trigger stays as it is.
        """

        def attempt() -> str:
            before = self._read()
            trigger, words = decide(_trigger(before))
            if trigger != _trigger(before):
                wanted = _with_trigger(before, trigger)
                self._give(wanted, before)
                self._prove(wanted, before)
            return words

        return self._patiently(attempt, _PROOF_SECONDS)

    def _give(self, wanted: Json, before: Json) -> None:
        """Update the pool. Raises for an update that was not carried out."""
        try:
            self._update(wanted["UpdateUserPool"])
        except self.client.exceptions.ResourceNotFoundException:
            raise
        except (ClientError, *_UNANSWERED) as error:
            if isinstance(error, ClientError) and not _may_pass(error):
                raise self._rejected(error, before) from error
            if not _may_be_carried_out(error) or not self._shows(_trigger(wanted), before):
                raise

    def _shows(self, trigger: str | None, before: Json) -> bool:
        try:
            return _trigger(self._read_after_update(before)) == trigger
        except (BotoCoreError, ClientError) as error:
            raise self._unproved(error) from error

    def _prove(self, wanted: Json, before: Json) -> None:
        """Raise unless the pool has exactly the settings that it was given. One that vanished is put back; one that
        has another value may be somebody else's change, and stays."""
        given = _flat(wanted)
        vanished: Set[Path] = frozenset()
        rejections: list[str] = []
        try:
            found = self._read_after_update(before)
            vanished = given.keys() - _flat(found).keys() - {_TRIGGER}
            if vanished:
                rejections = self._put_back({path: given[path] for path in vanished})
                found = self._read_after_update(found)
        except self.client.exceptions.ResourceNotFoundException:
            raise
        except (BotoCoreError, ClientError) as error:
            # Not to be repeated as a whole: the next round would find the trigger there and prove nothing.
            raise self._unproved(error, vanished) from error
        if differences := _differences(given, _flat(found), vanished, rejections):
            raise PoolChangedError(
                f"user pool {self.id}, after the update of its trigger: {differences}."
                f" Compare the pool with what it should be."
            )

    def _put_back(self, vanished: Mapping[Path, Any]) -> list[str]:
        """Put settings back into the pool. Returns which operations Cognito rejected, with its error codes."""
        rejections = []
        for operation in sorted({path[0] for path in vanished}):
            try:
                self._patiently(partial(self._send_missing, operation, vanished))
            except ClientError as error:
                if _may_pass(error):
                    raise
                rejections.append(f"{operation}: {error.response['Error']['Code']}")
        return rejections

    def _send_missing(self, operation: str, settings: Mapping[Path, Any]) -> None:
        """Add settings to the pool as it is by now."""
        request = _with_missing(self._read(), settings)[operation]
        if operation == "UpdateUserPool":
            self._update(request)
        else:
            self._set_mfa(request)

    def _set_mfa(self, request: Json) -> None:
        """Send SetUserPoolMfaConfig, with no factor while MFA is off.

        Cognito rejects them together: "can't turn off MFA and configure an MFA together".
        """
        if request.get("MfaConfiguration") == "OFF":
            request = {name: value for name, value in request.items() if not _is_mfa_factor(name)}
        self._send("SetUserPoolMfaConfig", request)

    def _update(self, request: Json) -> None:
        """Send UpdateUserPool, without settings that the pool shows and that Cognito does not take.

        A rejected request changes nothing, so it is tried without each of them in turn. One stays out only if Cognito
        then takes the request, or rejects it for another reason.
        """
        rejection = self._rejection(request)
        while rejection:
            for path in _dispensable(rejection, request):
                shorter = _without(request, path)
                other = self._rejection(shorter)
                if str(other) != str(rejection):
                    request, rejection = shorter, other
                    break
            else:
                raise rejection

    def _rejection(self, request: Json) -> ClientError | None:
        try:
            self._send("UpdateUserPool", request)
        except ClientError as error:
            if _may_pass(error):
                raise
            return error
        return None

    def _rejected(self, error: ClientError, before: Json) -> UpdateRejectedError:
        return UpdateRejectedError(
            f"user pool {self.id} still has the post-confirmation trigger {_trigger(before) or 'none'}: Cognito rejects"
            f" UpdateUserPool, although every other setting in it is the pool's own. {str(error).rstrip('.')}."
            f" {_remedy(error, before['UpdateUserPool'])} Then run the apply or destroy again. A destroy also ends once"
            f' the pool has another trigger, or none: docs/operations.md, "The trigger cannot be detached".'
        )

    def _unproved(self, error: Exception, vanished: Set[Path] = frozenset()) -> PoolUnverifiedError:
        lost = f"; {_names(vanished)} had vanished" if vanished else ""
        return PoolUnverifiedError(
            f"user pool {self.id}: the trigger may have been changed, and then the pool was not to be seen: {error}"
            f"{lost}. Compare the pool with what it should be."
        )

    def _read_after_update(self, before: Json) -> Json:
        """Read the pool, and again for some seconds while it is shown exactly as before the update.

        DescribeUserPool may lag behind UpdateUserPool.
        """
        ends_at = max(self.seconds_left() - _LAG_SECONDS, 1)
        while _flat(found := self._patiently(self._read)) == _flat(before) and self.seconds_left() > ends_at:
            time.sleep(_LAG_PAUSE_SECONDS)
        return found

    def _read(self) -> Json:
        """All that can be set on the pool: the requests, by operation, that would leave it as it is."""
        pool = self._send("DescribeUserPool", {"UserPoolId": self.id})["UserPool"]
        mfa = self._send("GetUserPoolMfaConfig", {"UserPoolId": self.id})
        return {"UpdateUserPool": _update_request(pool), "SetUserPoolMfaConfig": {"UserPoolId": self.id, **mfa}}

    def _send(self, operation: str, request: Json) -> Json:
        """One call, past boto3's model of it: `request` is sent as it is, and the answer's JSON returned as it came."""
        body = b""

        def replace_body(params: Json, **_: Any) -> None:
            params["body"] = json.dumps(request).encode()

        def keep_body(response_dict: Json, **_: Any) -> None:
            nonlocal body
            body = response_dict["body"]

        events = self.client.meta.events
        handlers: dict[str, Callable[..., None]] = {"before-call": replace_body, "before-parse": keep_body}
        for event, handler in handlers.items():
            events.register(f"{event}.cognito-identity-provider.{operation}", handler)
        try:
            getattr(self.client, xform_name(operation))(UserPoolId=self.id)
        finally:
            for event, handler in handlers.items():
                events.unregister(f"{event}.cognito-identity-provider.{operation}", handler)
        answer: Json = json.loads(body)
        return answer

    def _patiently(self, act: Callable[[], Answer], reserved_seconds: float = 0) -> Answer:
        """Do it again while Cognito is busy and more than `reserved_seconds` are left. An update is repeated together
        with the reading before it: whoever made it conflict may have changed a setting, and the old reading would undo
        that."""
        pause_seconds = 0.5
        while True:
            try:
                return act()
            except (ClientError, *_UNANSWERED) as error:
                if not _may_pass(error) or self.seconds_left() < reserved_seconds + 2 * pause_seconds:
                    raise
            time.sleep(pause_seconds * random.uniform(0.5, 1))  # noqa: S311
            pause_seconds = min(2 * pause_seconds, 8)


def _may_pass(error: BotoCoreError | ClientError) -> bool:
    if not isinstance(error, ClientError):
        return True
    return _may_be_carried_out(error) or error.response["Error"]["Code"] in _TRY_AGAIN


def _may_be_carried_out(error: BotoCoreError | ClientError) -> bool:
    """Whether an update may have taken effect although it ended with this error."""
    return not isinstance(error, ClientError) or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500


def _dispensable(rejection: ClientError, request: Json) -> list[Path]:
    """Settings in a request that Cognito may show and reject, without being asked to change them."""
    settings: Sequence[Path] = ()
    match rejection.response["Error"]["Code"]:
        case "FeatureUnavailableInTierException":
            settings = _FEATURE_PLAN_SETTINGS
        case "InvalidParameterException":
            # Cognito takes one of the two messages, that of the option in use:
            # https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
            template = request.get("VerificationMessageTemplate") or {}
            if {"EmailMessage", "EmailMessageByLink"} <= template.keys():
                by_link = template.get("DefaultEmailOption") == "CONFIRM_WITH_LINK"
                settings = [("VerificationMessageTemplate", "EmailMessage" if by_link else "EmailMessageByLink")]
    return [path for path in settings if _without(request, path) != request]


def _remedy(rejection: ClientError, settings: Json) -> str:
    """What to do so that Cognito takes the pool's own settings again."""
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
            return "Fix what Cognito names."


def _trigger(configuration: Json) -> str | None:
    trigger: str | None = configuration["UpdateUserPool"].get("LambdaConfig", {}).get("PostConfirmation")
    return trigger


def _with_trigger(configuration: Json, trigger: str | None) -> Json:
    changed = copy.deepcopy(configuration)
    triggers = changed["UpdateUserPool"].setdefault("LambdaConfig", {})
    triggers.pop("PostConfirmation", None)
    if trigger is not None:
        triggers["PostConfirmation"] = trigger
    return changed


def _update_request(pool: Json) -> Json:
    """The UpdateUserPool request that would leave the pool as it is."""
    request = {name: value for name, value in pool.items() if name not in _NOT_SETTINGS}
    request["UserPoolId"] = pool["Id"]
    request["PoolName"] = pool["Name"]
    # Two names for one setting; Cognito refuses both together, and the old one once the new one exists:
    # "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays".
    unused_days = request.get("AdminCreateUserConfig", {}).pop("UnusedAccountValidityDays", None)
    if unused_days is not None:
        policy = request.setdefault("Policies", {}).setdefault("PasswordPolicy", {})
        policy.setdefault("TemporaryPasswordValidityDays", unused_days)
    # AWS's own tags, such as CloudFormation's: nobody else may set them, and they stay without being sent.
    if "UserPoolTags" in request:
        request["UserPoolTags"] = {
            name: value for name, value in request["UserPoolTags"].items() if not name.lower().startswith("aws:")
        }
    return request


def _flat(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Every setting by its path. A list is one setting; null, and an empty object or list, are none."""
    if not isinstance(value, dict):
        return {} if value in (None, []) else {path: value}
    return {inner: found for name in value for inner, found in _flat(value[name], (*path, name)).items()}


def _with_missing(configuration: Json, settings: Mapping[Path, Any]) -> Json:
    """A configuration, and of `settings` those that it lacks."""
    changed = copy.deepcopy(configuration)
    for path in settings.keys() - _flat(configuration).keys():
        _set(changed, path, settings[path])
    return changed


def _without(settings: Any, path: Path) -> Any:
    name, *inner = path
    if not isinstance(settings, dict) or name not in settings:
        return settings
    if not inner:
        return {other: value for other, value in settings.items() if other != name}
    return {**settings, name: _without(settings[name], tuple(inner))}


def _is_mfa_factor(name: str) -> bool:
    """Whether a member of SetUserPoolMfaConfig is one, such as SmsMfaConfiguration."""
    return name.endswith("MfaConfiguration") and name != "MfaConfiguration"


def _differences(
    given: Mapping[Path, Any], shown: Mapping[Path, Any], vanished: Set[Path], rejections: Sequence[str]
) -> str:
    """What a pool shows otherwise than it was given, in words."""
    different = {path for path in given.keys() | shown.keys() if given.get(path) != shown.get(path)}
    why = f" ({', '.join(rejections)})" if rejections else ""
    return "; ".join(
        f"{_names(paths)} {what}"
        for paths, what in (
            (different - vanished, "had another value (kept: it may be somebody else's change)"),
            (different & vanished, f"had vanished and could not be put back{why}"),
            (vanished - different, "had vanished and was put back"),
        )
        if paths
    )


def _set(target: Any, path: Path, value: Any) -> None:
    """Set what is missing, unless it is no part of `target` any more because something else took its place."""
    for name in path[:-1]:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            return
    target[path[-1]] = value


def _names(paths: Set[Path]) -> str:
    return ", ".join(sorted({".".join(path[1:]) for path in paths}))
