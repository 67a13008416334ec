"""Sets and clears the post-confirmation trigger of a user pool that somebody else owns, and nothing else of it.

UpdateUserPool resets every setting that a request leaves out, so each change reads the whole configuration and
sends it back with the one field changed. boto3 drops members that its model does not know, and so an older boto3
would reset a newer setting: the raw JSON is read and sent, with signing and errors still botocore's. Afterwards the
pool is read again and compared, setting by setting.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
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

Answer = TypeVar("Answer")
Json: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
"""Where a setting is: ("UpdateUserPool", "Policies", "PasswordPolicy", "MinimumLength")."""

_TRIGGER: Path = ("UpdateUserPool", "LambdaConfig", "PostConfirmation")


class ForeignTrigger(Exception):
    """The pool has a post-confirmation trigger that is not ours; the message names it."""


class PoolChanged(Exception):
    """After the update the pool differs in more than the trigger; the message names the settings."""


class PoolUnproved(Exception):
    """An update was sent, but then Cognito did not show the pool: whether anything else changed is unknown."""


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

        Repeating it changes nothing. Raises ForeignTrigger for a trigger that is neither this function nor
        `chained_function_arn`, before anything changes; PoolChanged and PoolUnproved after it.
        """

        def decide(current: str | None) -> tuple[str | None, str]:
            if current == function_arn:
                return current, "attached already"
            if current not in {None, chained_function_arn}:
                raise ForeignTrigger(
                    f"user pool {self.id} has the post-confirmation trigger {current}. To keep it, and have it called"
                    f" after this module's own function, set chained_function_arn to exactly this ARN; or remove it"
                    f" from the pool. Nothing was changed."
                )
            return function_arn, f"attached, in place of {current}" if current else "attached"

        return self._change_trigger(decide)

    def detach(self, function_arn: str, chained_function_arn: str | None) -> str:
        """Give the trigger back: to `chained_function_arn`, or to nobody. Returns what was done, in words.

        Does nothing where the trigger is not `function_arn`, or the pool is gone. Raises PoolChanged and PoolUnproved.
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
        sent: list[tuple[Json, str]] = []  # the last update, and its words

        def once() -> str:
            configuration = self._read()
            current = _trigger(configuration)
            if sent and current == _trigger(sent[0][0]):
                return sent[0][1]  # carried out, though the answer did not arrive
            trigger, words = decide(current)
            if trigger == current:
                sent.clear()
                return words
            triggers = configuration["UpdateUserPool"].setdefault("LambdaConfig", {})
            triggers.pop("PostConfirmation", None)
            if trigger is not None:
                triggers["PostConfirmation"] = trigger
            sent[:] = [(configuration, words)]
            self._send("UpdateUserPool", configuration["UpdateUserPool"])
            return words

        try:
            words = self._patiently(once, _PROOF_SECONDS)
        except (ClientError, *_UNANSWERED) as error:
            # There is no time for another update, but the last one may have been carried out all the same.
            if not sent or not _may_pass(error) or not self._has_trigger(_trigger(sent[0][0])):
                raise
            words = sent[0][1]
        if sent:
            self._prove(_flat(sent[0][0]))
        return words

    def _has_trigger(self, function_arn: str | None) -> bool:
        try:
            return _trigger(self._patiently(self._read)) == function_arn
        except (BotoCoreError, ClientError) as error:
            raise self._unproved(error) from error

    def _prove(self, wanted: dict[Path, Any]) -> None:
        """Raise unless the pool has exactly the settings that it was given. One that vanished is put back; one that
        has another value may be somebody else's change, and stays."""
        vanished: set[Path] = set()
        refusals: list[str] = []

        def put_back_what_vanished() -> dict[Path, Any]:
            found = self._read()
            settings = _flat(found)
            missing = wanted.keys() - settings.keys() - {_TRIGGER}
            if not missing:
                return settings
            vanished.update(missing)
            for path in missing:
                _set(found, path, wanted[path])
            for operation in sorted({path[0] for path in missing}):
                try:
                    self._send(operation, found[operation])
                except ClientError as error:
                    if _may_pass(error):
                        raise
                    refusals.append(f"{operation}: {error.response['Error']['Code']}")
            return _flat(self._read())

        try:
            settings = self._patiently(put_back_what_vanished)
        except self.client.exceptions.ResourceNotFoundException:
            raise
        except (BotoCoreError, ClientError) as error:
            # Not to be repeated as a whole: the next round would find the trigger there and prove nothing.
            raise self._unproved(error, vanished) from error
        different = {path for path in wanted.keys() | settings.keys() if wanted.get(path) != settings.get(path)}
        refused = f" ({', '.join(refusals)})" if refusals else ""
        found = [
            f"{_names(paths)} {what}"
            for paths, what in (
                (different - vanished, "had another value (kept: it may be somebody else's change)"),
                (different & vanished, f"had vanished and could not be put back{refused}"),
                (vanished - different, "had vanished and was put back"),
            )
            if paths
        ]
        if found:
            raise PoolChanged(
                f"user pool {self.id}, after the update of its trigger: {'; '.join(found)}."
                f" Compare the pool with what it should be."
            )

    def _unproved(self, error: Exception, vanished: Set[Path] = frozenset()) -> PoolUnproved:
        lost = f"; {_names(vanished)} had vanished" if vanished else ""
        return PoolUnproved(
            f"user pool {self.id}: the trigger may have been changed, and then the pool was not to be seen: {error}"
            f"{lost}. Compare the pool with what it should be."
        )

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
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or error.response["Error"]["Code"] in _TRY_AGAIN


def _trigger(configuration: Json) -> str | None:
    trigger: str | None = configuration["UpdateUserPool"].get("LambdaConfig", {}).get("PostConfirmation")
    return trigger


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


def _set(target: Any, path: Path, value: Any) -> None:
    """Set what is missing, unless it is no part of `target` any more because something else took its place."""
    for name in path[:-1]:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            return
    target[path[-1]] = value


def _names(paths: Set[Path]) -> str:
    return ", ".join(sorted({".".join(path[1:]) for path in paths}))
