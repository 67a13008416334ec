"""Only the trigger of an existing pool changes, and no other setting."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.model import Shape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cognito_user_sync import pool_configuration
from cognito_user_sync.pool_trigger import (
    ForeignTriggerError,
    PoolChangedError,
    PoolTrigger,
    PoolUnverifiedError,
    UpdateRejectedError,
)
from tests.fakes.answers import Response, error_response
from tests.fakes.clock import Clock, RunningContext
from tests.fakes.cognito_pool import DEFAULTS, FACTS, CognitoPool
from tests.fakes.fake_aws import COGNITO_MODEL as MODEL
from tests.fakes.fake_aws import FakeAws, QuickAws, served
from tests.samples import OTHER, OURS, POOL_ID, THEIRS

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0
# What PoolTrigger reserves for an update that gets no answer, and the read after it.
VERIFICATION_SECONDS = 20.0
LOST = ConnectionClosedError(endpoint_url="https://cognito")
ONCE = Config(retries={"total_max_attempts": 1})

# Facts about the pool, as DescribeUserPool shows them.
POOL_FACTS: dict[str, Any] = {
    "Id": POOL_ID,
    "Name": "another team's pool",
    "Arn": f"arn:aws:cognito-idp:eu-central-1:111122223333:userpool/{POOL_ID}",
    "CreationDate": 1767225600.123,
    "LastModifiedDate": 1767225600.456,
    "Status": "Enabled",
    "EstimatedNumberOfUsers": 1234,
    "SchemaAttributes": [{"Name": "sub", "AttributeDataType": "String", "Required": True}],
    "AliasAttributes": ["email"],
    "UsernameAttributes": ["email"],
    "UsernameConfiguration": {"CaseSensitive": False},
    "Domain": "shop",
    "CustomDomain": "login.example.com",
    "SmsConfigurationFailure": "none",
    "EmailConfigurationFailure": "none",
}

# Settings; the first two are of a time when boto3 did not know them.
SETTINGS: dict[str, Any] = {
    "QuantumLogin": {"Level": 3, "Exceptions": ["ada"]},
    "Policies": {
        "PasswordPolicy": {"MinimumLength": 12, "TemporaryPasswordValidityDays": 3, "MaximumBreaches": 0},
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "TELEPATHY"]},
    },
    "DeletionProtection": "ACTIVE",
    "AutoVerifiedAttributes": ["email"],
    "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_CODE", "EmailMessage": "Your code: {####} 😀"},
    "SmsAuthenticationMessage": "Code {####}",
    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
    "MfaConfiguration": "OPTIONAL",
    "DeviceConfiguration": {"ChallengeRequiredOnNewDevice": True, "DeviceOnlyRememberedOnUserPrompt": False},
    "EmailConfiguration": {"EmailSendingAccount": "DEVELOPER", "From": "Shop <hello@example.com>"},
    "SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::111122223333:role/sms", "ExternalId": "x"},
    "UserPoolTags": {"owner": "another team", "empty": ""},
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False, "InviteMessageTemplate": {"SMSMessage": "{####}"}},
    "UserPoolAddOns": {"AdvancedSecurityMode": "AUDIT"},
    "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
    "UserPoolTier": "PLUS",
    "LambdaConfig": {
        "PreSignUp": OTHER,
        "PreTokenGenerationConfig": {"LambdaVersion": "V2_0", "LambdaArn": OTHER},
        "PreTelepathy": OTHER,
    },
}


# What SetUserPoolMfaConfig alone sets.
MFA: dict[str, Any] = {
    "SoftwareTokenMfaConfiguration": {"Enabled": True},
    "WebAuthnConfiguration": {"RelyingPartyId": "example.com", "UserVerification": "required"},
    "TelepathyConfiguration": {"Range": 7},
}


def with_trigger(trigger: str | None) -> dict[str, Any]:
    pool = copy.deepcopy(SETTINGS)
    if trigger:
        pool["LambdaConfig"]["PostConfirmation"] = trigger
    return pool


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


@pytest.fixture
def cognito() -> CognitoPool:
    return CognitoPool(settings=SETTINGS, facts=POOL_FACTS, mfa=MFA)


@pytest.fixture
def pool(cognito: CognitoPool, aws: FakeAws, clock: Clock) -> PoolTrigger:
    aws.serve(cognito)
    return PoolTrigger(boto3.client("cognito-idp", config=ONCE), POOL_ID, RunningContext(clock, SECONDS))


def test_update_drops_exactly_the_members_that_are_not_settings() -> None:
    shown = frozenset(MODEL.shape_for("UserPoolType").members)
    assert (
        shown - frozenset(MODEL.shape_for("UpdateUserPoolRequest").members) == pool_configuration.NOT_SETTINGS == FACTS
    )


def test_attach_sends_all_settings_and_the_trigger(cognito: CognitoPool, pool: PoolTrigger) -> None:
    assert pool.attach(OURS, None) == "attached"
    assert cognito.updates == [
        {**with_trigger(OURS), "UserPoolId": POOL_ID, "PoolName": "another team's pool"},
    ]
    assert cognito.settings == with_trigger(OURS)


def test_detach_sends_all_settings_without_the_trigger(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.set_trigger(OURS)
    assert pool.detach(OURS, None) == "detached"
    assert cognito.settings == with_trigger(None)


def generated(shape: Shape) -> st.SearchStrategy[Any]:
    """Values of a shape of botocore's model, structures with members that it does not know among them."""
    kind: Any = shape
    match shape.type_name:
        case "structure":
            members = {name: generated(member) for name, member in kind.members.items() if name != "PostConfirmation"}
            unknown = _UNKNOWN.map(lambda new: {name: value for name, value in new.items() if name not in kind.members})
            known = st.fixed_dictionaries({}, optional=members)
            return st.builds(lambda known, unknown: {**unknown, **known}, known, unknown)
        case "list":
            return st.lists(generated(kind.member), max_size=2)
        case "map":
            return st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9), max_size=3)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(0, 99)
        case "string":
            return st.sampled_from(kind.enum) if kind.enum else st.text(max_size=20)
        case other:
            raise AssertionError(f"a new kind of setting: {other}")


_JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
_UNKNOWN: Any = st.dictionaries(st.text(max_size=15), _JSON, max_size=2)


def settable(request: dict[str, Any]) -> dict[str, Any]:
    # The old name of TemporaryPasswordValidityDays is shown with the new one's value: it is not a separate setting.
    request.get("AdminCreateUserConfig", {}).pop("UnusedAccountValidityDays", None)
    return {name: value for name, value in request.items() if name not in FACTS | {"UserPoolId", "PoolName"}}


_CONFIGURATIONS = generated(MODEL.shape_for("UpdateUserPoolRequest")).map(settable)
_MFA_SETTINGS = generated(MODEL.shape_for("GetUserPoolMfaConfigResponse")).map(
    lambda mfa: {name: value for name, value in mfa.items() if name not in {"SmsMfaConfiguration", "MfaConfiguration"}}
)


@pytest.fixture
def quick(session: boto3.Session) -> Iterator[QuickAws]:
    fake = QuickAws(session)
    with fake.answering():
        yield fake


def test_attach_and_detach_keep_any_configuration(quick: QuickAws, clock: Clock) -> None:
    client = boto3.client("cognito-idp", config=ONCE)

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(configuration=_CONFIGURATIONS, mfa=_MFA_SETTINGS, chained=st.sampled_from([None, THEIRS]))
    def check(configuration: dict[str, Any], mfa: dict[str, Any], chained: str | None) -> None:
        cognito = CognitoPool(settings=configuration, facts=POOL_FACTS, mfa=mfa)
        cognito.set_trigger(chained)
        quick.serve(cognito)
        pool = PoolTrigger(client, POOL_ID, RunningContext(clock, SECONDS))
        before = cognito.shown()

        assert pool.attach(OURS, chained).startswith("attached")
        between = cognito.shown()
        assert between["UserPool"]["LambdaConfig"].pop("PostConfirmation") == OURS
        expected = copy.deepcopy(before)
        expected["UserPool"]["LambdaConfig"].pop("PostConfirmation", None)
        assert without_dates(between) == without_dates(expected)

        assert pool.attach(OURS, chained) == "attached already"
        assert len(cognito.updates) == 1
        assert pool.detach(OURS, chained).startswith("detached")
        assert without_dates(cognito.shown()) == without_dates(before)

    check()


def without_dates(shown: dict[str, Any]) -> dict[str, Any]:
    shown = copy.deepcopy(shown)
    del shown["UserPool"]["LastModifiedDate"]
    return shown


def test_generated_configurations_have_all_settings() -> None:
    seen: set[str] = set()

    @settings(max_examples=100, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(configuration=_CONFIGURATIONS)
    def look(configuration: dict[str, Any]) -> None:
        seen.update(configuration)

    look()
    known = set(MODEL.shape_for("UserPoolType").members) & set(MODEL.shape_for("UpdateUserPoolRequest").members)
    assert known <= seen
    assert seen - known, "and unknown ones"


def test_attach_is_idempotent(cognito: CognitoPool, pool: PoolTrigger) -> None:
    pool.attach(OURS, None)
    assert pool.attach(OURS, None) == "attached already"
    assert len(cognito.updates) == 1


def test_detach_is_idempotent(cognito: CognitoPool, pool: PoolTrigger) -> None:
    pool.attach(OURS, None)
    pool.detach(OURS, None)
    assert pool.detach(OURS, None) == "nothing to detach: the trigger is not set"
    assert len(cognito.updates) == 2


@pytest.mark.parametrize("chained", [None, OTHER], ids=["none-chained", "another-chained"])
def test_attach_rejects_and_keeps_a_foreign_trigger(
    cognito: CognitoPool, pool: PoolTrigger, chained: str | None
) -> None:
    cognito.set_trigger(THEIRS)
    with pytest.raises(ForeignTriggerError, match=THEIRS):
        pool.attach(OURS, chained)
    assert cognito.updates == []


def test_attach_replaces_and_detach_restores_the_chained_function(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.set_trigger(THEIRS)
    assert pool.attach(OURS, THEIRS) == f"attached, in place of {THEIRS}"
    assert cognito.settings == with_trigger(OURS)
    assert pool.detach(OURS, THEIRS) == f"detached, {THEIRS} restored"
    assert cognito.settings == with_trigger(THEIRS)


def test_detach_keeps_a_foreign_trigger(cognito: CognitoPool, pool: PoolTrigger) -> None:
    # Another application has replaced the trigger.
    cognito.set_trigger(THEIRS)
    assert pool.detach(OURS, OTHER) == f"nothing to detach: the trigger is {THEIRS}"
    assert cognito.updates == []


def test_detach_succeeds_if_the_pool_does_not_exist(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.exists = False
    assert pool.detach(OURS, None) == "nothing to detach: the user pool does not exist"
    assert cognito.updates == []


def test_detach_succeeds_if_the_pool_is_deleted_at_the_same_time(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.set_trigger(OURS)
    cognito.calls.after("UpdateUserPool", None, lambda: setattr(cognito, "exists", False))
    assert pool.detach(OURS, None) == "nothing to detach: the user pool does not exist"


def test_attach_fails_if_the_pool_does_not_exist(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.exists = False
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        pool.attach(OURS, None)


# AdminCreateUserConfig.UnusedAccountValidityDays is the old name of PasswordPolicy.TemporaryPasswordValidityDays.


def test_update_sends_the_old_name_of_a_setting_as_the_new_one(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.settings["AdminCreateUserConfig"] = {"AllowAdminCreateUserOnly": True, "UnusedAccountValidityDays": 9}
    cognito.settings["Policies"] = {"PasswordPolicy": {"MinimumLength": 8}}
    pool.attach(OURS, None)
    [update] = cognito.updates
    assert update["Policies"] == {"PasswordPolicy": {"MinimumLength": 8, "TemporaryPasswordValidityDays": 9}}
    assert update["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}


def test_update_does_not_send_the_old_name_beside_the_new_one(cognito: CognitoPool, pool: PoolTrigger) -> None:
    assert cognito.shown()["UserPool"]["AdminCreateUserConfig"]["UnusedAccountValidityDays"] == 3
    pool.attach(OURS, None)
    [update] = cognito.updates
    assert update["Policies"] == SETTINGS["Policies"]
    assert update["AdminCreateUserConfig"] == SETTINGS["AdminCreateUserConfig"]


def test_update_sends_neither_name_if_none_is_shown(cognito: CognitoPool, pool: PoolTrigger) -> None:
    del cognito.settings["Policies"], cognito.settings["AdminCreateUserConfig"]

    def show_neither() -> None:
        del cognito.settings["Policies"], cognito.settings["AdminCreateUserConfig"]

    cognito.calls.after("UpdateUserPool", None, show_neither)
    pool.attach(OURS, None)
    assert cognito.updates[0].keys().isdisjoint({"Policies", "AdminCreateUserConfig"})


def test_update_does_not_send_tags_of_aws(cognito: CognitoPool, pool: PoolTrigger) -> None:
    tags = {"aws:cloudformation:stack-name": "theirs", "AWS:x": "", "owner": "another team", "my-aws:tag": "1"}
    cognito.settings["UserPoolTags"] = dict(tags)
    pool.attach(OURS, None)
    assert cognito.updates[0]["UserPoolTags"] == {"owner": "another team", "my-aws:tag": "1"}
    assert cognito.settings["UserPoolTags"] == tags


# The pool differs after the update: it lost a setting, or another client changed one at the same time.


def test_verification_restores_and_names_a_lost_setting(cognito: CognitoPool, pool: PoolTrigger) -> None:
    def lose_once() -> None:
        del cognito.settings["QuantumLogin"]["Level"]
        del cognito.settings["LambdaConfig"]["PreSignUp"]

    cognito.calls.after("UpdateUserPool", 1, lose_once)
    with pytest.raises(PoolChangedError) as raised:
        pool.attach(OURS, None)
    assert str(raised.value) == (
        f"user pool {POOL_ID}, after the update of its trigger: LambdaConfig.PreSignUp, QuantumLogin.Level"
        " disappeared (restored). Compare the pool's settings with its configuration."
    )
    assert cognito.settings == with_trigger(OURS)
    assert pool.attach(OURS, None) == "attached already"


def test_verification_restores_and_names_a_lost_mfa_setting(cognito: CognitoPool, pool: PoolTrigger) -> None:
    def lose() -> None:
        del cognito.mfa["SoftwareTokenMfaConfiguration"], cognito.mfa["TelepathyConfiguration"]

    cognito.calls.after("UpdateUserPool", None, lose)
    with pytest.raises(
        PoolChangedError,
        match=r"SoftwareTokenMfaConfiguration\.Enabled, TelepathyConfiguration\.Range disappeared \(restored",
    ):
        pool.attach(OURS, None)
    assert cognito.mfa == MFA
    assert cognito.settings == with_trigger(OURS)
    assert len(cognito.updates) == 1


def test_verification_names_a_setting_that_cannot_be_restored(cognito: CognitoPool, pool: PoolTrigger) -> None:
    def lose() -> None:
        del cognito.settings["QuantumLogin"]

    cognito.calls.after("UpdateUserPool", None, lose)
    with pytest.raises(
        PoolChangedError, match=r"QuantumLogin\.Exceptions, QuantumLogin\.Level disappeared \(could not be restored\)"
    ):
        pool.attach(OURS, None)
    assert len(cognito.updates) == 2, "tried once"
    assert cognito.trigger == OURS


@pytest.mark.parametrize("operation", ["UpdateUserPool", "SetUserPoolMfaConfig"])
def test_verification_names_the_operation_that_rejects_a_restore(
    cognito: CognitoPool, pool: PoolTrigger, operation: str
) -> None:
    def lose() -> None:
        del cognito.settings["QuantumLogin"], cognito.mfa["TelepathyConfiguration"]
        cognito.calls.answer_next(operation, error_response("InvalidParameterException"))

    cognito.calls.after("UpdateUserPool", 1, lose)
    with pytest.raises(PoolChangedError, match=rf"\(could not be restored: {operation}: InvalidParameterException\)"):
        pool.attach(OURS, None)


def test_verification_names_a_lost_setting_without_time_to_restore(
    cognito: CognitoPool, pool: PoolTrigger, clock: Clock
) -> None:
    def lose() -> None:
        del cognito.settings["QuantumLogin"]
        clock.seconds = SECONDS - 1.9
        cognito.calls.answer_next("UpdateUserPool", *[error_response("TooManyRequestsException")] * 5)

    cognito.calls.after("UpdateUserPool", None, lose)
    with pytest.raises(PoolUnverifiedError, match=r"TooManyRequests.*QuantumLogin\.Level disappeared"):
        pool.attach(OURS, None)


@pytest.mark.parametrize("nothing", [{}, [], None], ids=repr)
def test_verification_ignores_empty_settings(cognito: CognitoPool, pool: PoolTrigger, nothing: Any) -> None:
    cognito.settings["AliasesOfTomorrow"] = nothing
    cognito.calls.after("UpdateUserPool", None, lambda: cognito.settings.pop("AliasesOfTomorrow"))
    assert pool.attach(OURS, None) == "attached"


def test_verification_restores_into_the_current_configuration(cognito: CognitoPool, pool: PoolTrigger) -> None:
    # Another client changes another setting at the same time: that change is kept.
    def lose_and_change_once() -> None:
        del cognito.settings["QuantumLogin"]
        cognito.settings["MfaConfiguration"] = "ON"

    cognito.calls.after("UpdateUserPool", 1, lose_and_change_once)
    with pytest.raises(PoolChangedError, match=r"MfaConfiguration had another value .*; QuantumLogin.* \(restored\)"):
        pool.attach(OURS, None)
    assert cognito.settings == {**with_trigger(OURS), "MfaConfiguration": "ON"}


def test_verification_does_not_restore_a_replaced_setting(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.calls.after("UpdateUserPool", None, lambda: cognito.settings.update(QuantumLogin="off"))
    with pytest.raises(PoolChangedError, match=r"QuantumLogin had another value"):
        pool.attach(OURS, None)
    assert cognito.settings["QuantumLogin"] == "off"


def test_verification_names_and_keeps_a_changed_setting(cognito: CognitoPool, pool: PoolTrigger) -> None:
    def change() -> None:
        cognito.settings["MfaConfiguration"] = "OFF"
        cognito.settings["NewDefault"] = 1
        cognito.settings["Policies"]["PasswordPolicy"]["MinimumLength"] = 6
        cognito.mfa["SoftwareTokenMfaConfiguration"]["Enabled"] = False

    cognito.calls.after("UpdateUserPool", None, change)
    with pytest.raises(PoolChangedError) as raised:
        pool.attach(OURS, None)
    assert str(raised.value) == (
        f"user pool {POOL_ID}, after the update of its trigger: MfaConfiguration, NewDefault,"
        " Policies.PasswordPolicy.MinimumLength, SoftwareTokenMfaConfiguration.Enabled had another value (kept: another"
        " client may have changed it). Compare the pool's settings with its configuration."
    )
    assert len(cognito.updates) == 1
    assert cognito.settings["MfaConfiguration"] == "OFF"


@pytest.mark.parametrize("theirs", [None, THEIRS], ids=["gone", "replaced"])
def test_verification_fails_if_the_trigger_differs(cognito: CognitoPool, pool: PoolTrigger, theirs: str | None) -> None:
    cognito.calls.after("UpdateUserPool", None, lambda: cognito.set_trigger(theirs))
    with pytest.raises(PoolChangedError, match=r"LambdaConfig\.PostConfirmation had another value"):
        pool.attach(OURS, None)
    assert cognito.trigger == theirs
    assert len(cognito.updates) == 1


@pytest.mark.parametrize("action", ["attach", "detach"])
@pytest.mark.parametrize("code", ["ConcurrentModificationException", "InternalErrorException"])
def test_retry_does_not_undo_a_conflicting_change(
    cognito: CognitoPool, pool: PoolTrigger, action: str, code: str
) -> None:
    cognito.set_trigger(OURS if action == "detach" else None)

    def another_client_was_faster() -> Response:
        cognito.settings["MfaConfiguration"] = "ON"
        return error_response(code, 500 if code == "InternalErrorException" else 400)

    cognito.calls.answer_next("UpdateUserPool", another_client_was_faster)
    getattr(pool, action)(OURS, None)
    assert cognito.settings["MfaConfiguration"] == "ON"
    assert cognito.trigger == (OURS if action == "attach" else None)


def test_retry_rejects_a_trigger_set_by_the_conflicting_change(cognito: CognitoPool, pool: PoolTrigger) -> None:
    def another_client_was_faster() -> Response:
        cognito.set_trigger(THEIRS)
        return error_response("ConcurrentModificationException")

    cognito.calls.answer_next("UpdateUserPool", another_client_was_faster)
    with pytest.raises(ForeignTriggerError, match=THEIRS):
        pool.attach(OURS, None)
    assert cognito.trigger == THEIRS


# DescribeUserPool lags behind UpdateUserPool.


def lag(cognito: CognitoPool, reads: int) -> None:
    """Show the pool as it is now to the first reads after each update."""
    before = Response({"UserPool": cognito.shown()["UserPool"]})
    cognito.calls.after(
        "UpdateUserPool", None, lambda: cognito.calls.answer_next("DescribeUserPool", *[before] * reads)
    )


@pytest.mark.parametrize("action", ["attach", "detach"])
def test_trigger_that_is_shown_late_is_waited_for(cognito: CognitoPool, pool: PoolTrigger, action: str) -> None:
    cognito.set_trigger(OURS if action == "detach" else THEIRS)
    lag(cognito, 6)
    assert THEIRS in getattr(pool, action)(OURS, THEIRS)
    assert len(cognito.updates) == 1


def test_trigger_that_is_shown_late_is_waited_for_some_seconds(
    cognito: CognitoPool, pool: PoolTrigger, clock: Clock
) -> None:
    lag(cognito, 1000)
    with pytest.raises(PoolChangedError, match=r"LambdaConfig\.PostConfirmation had another value"):
        pool.attach(OURS, None)
    assert 5 < clock.seconds < 15
    assert len(cognito.updates) == 1


def test_update_without_an_answer_is_proved_when_it_is_shown_late(cognito: CognitoPool, pool: PoolTrigger) -> None:
    lag(cognito, 6)
    cognito.calls.lose_next("UpdateUserPool", LOST)
    assert pool.attach(OURS, None) == "attached"
    assert len(cognito.updates) == 1


def test_verification_names_another_change_that_is_shown_late(
    cognito: CognitoPool, pool: PoolTrigger, clock: Clock
) -> None:
    before = Response({"UserPool": cognito.shown()["UserPool"]})

    def change_and_lag() -> None:
        cognito.settings["MfaConfiguration"] = "ON"
        cognito.calls.answer_next("GetUserPoolMfaConfig", Response({"MfaConfiguration": "OPTIONAL", **cognito.mfa}))
        cognito.calls.answer_next("DescribeUserPool", before)

    cognito.calls.after("UpdateUserPool", 1, change_and_lag)
    with pytest.raises(PoolChangedError, match="MfaConfiguration had another value"):
        pool.attach(OURS, None)


def test_verification_waits_for_a_restored_setting(cognito: CognitoPool, pool: PoolTrigger) -> None:
    def lose_once() -> None:
        del cognito.settings["QuantumLogin"]
        lag(cognito, 6)

    cognito.calls.after("UpdateUserPool", 1, lose_once)
    with pytest.raises(PoolChangedError, match=r"QuantumLogin\.Level disappeared \(restored\)"):
        pool.attach(OURS, None)


# Cognito rejects settings of the pool that it shows, and that the request does not change.


def test_defaults_of_another_tier_are_left_out_and_stay(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.settings |= {
        "UserPoolTier": "LITE",
        "AcrConfiguration": {"Level1": {"AcrValue": "urn:cognito:loa:1"}},
        "UserPoolAddOns": {"AdvancedSecurityMode": "OFF"},
    }
    cognito.unavailable = {"AcrConfiguration": "Authentication Levels", "UserPoolAddOns": "Threat Protection"}
    before = cognito.shown()
    assert pool.attach(OURS, None) == "attached"
    after = cognito.shown()
    assert after["UserPool"]["LambdaConfig"].pop("PostConfirmation") == OURS
    assert without_dates(after) == without_dates(before)
    assert cognito.updates[-1].keys().isdisjoint(cognito.unavailable)
    assert pool.detach(OURS, None) == "detached"
    assert without_dates(cognito.shown()) == without_dates(before)


@pytest.mark.parametrize("unavailable", ["AcrConfiguration", "UserPoolAddOns"])
def test_setting_of_a_tier_that_cognito_does_not_reject_is_sent(
    cognito: CognitoPool, pool: PoolTrigger, unavailable: str
) -> None:
    """Left out, threat protection in a pool that had it before the tiers would end."""
    cognito.settings["AcrConfiguration"] = {"Level1": {"AcrValue": "their-own"}}
    cognito.unavailable = {unavailable: "A Feature"}
    before = copy.deepcopy(cognito.settings)
    assert pool.attach(OURS, None) == "attached"
    assert before.keys() - cognito.updates[-1].keys() == {unavailable}
    cognito.set_trigger(None)
    assert cognito.settings == before


def test_left_out_setting_that_is_reset_is_named(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.unavailable = {"UserPoolAddOns": "Threat Protection"}
    cognito.calls.after("UpdateUserPool", 2, lambda: cognito.settings.pop("UserPoolAddOns"))
    with pytest.raises(
        PoolChangedError, match=r"UserPoolAddOns\.AdvancedSecurityMode disappeared \(could not be restored\)"
    ):
        pool.attach(OURS, None)
    assert cognito.trigger == OURS


def test_feature_that_is_none_of_the_settings_rejects_the_update(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.unavailable = {"LambdaConfig": "Token Customization"}
    before = cognito.shown()
    with pytest.raises(UpdateRejectedError, match="FeatureUnavailableInTierException.*: Token Customization"):
        pool.attach(OURS, None)
    assert cognito.shown() == before


@pytest.mark.parametrize(
    ("option", "unused"),
    [("CONFIRM_WITH_CODE", "EmailMessageByLink"), ("CONFIRM_WITH_LINK", "EmailMessage"), (None, "EmailMessageByLink")],
)
def test_message_of_the_option_not_in_use_is_left_out(
    cognito: CognitoPool, pool: PoolTrigger, option: str | None, unused: str
) -> None:
    template = {"EmailMessage": "{####}", "EmailMessageByLink": "{##here##}", "EmailSubjectByLink": "Your link"}
    cognito.settings["VerificationMessageTemplate"] = template | ({"DefaultEmailOption": option} if option else {})
    cognito.rejects_two_messages = True
    before = cognito.shown()
    assert pool.attach(OURS, None) == "attached"
    assert pool.detach(OURS, None) == "detached"
    assert without_dates(cognito.shown()) == without_dates(before)
    sent = cognito.updates[-1]["VerificationMessageTemplate"]
    assert before["UserPool"]["VerificationMessageTemplate"].keys() - sent.keys() == {unused}


def test_pool_with_both_problems_is_attached(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.settings["VerificationMessageTemplate"] = {"EmailMessage": "{####}", "EmailMessageByLink": "{##here##}"}
    cognito.rejects_two_messages = True
    cognito.unavailable = {"UserPoolAddOns": "Threat Protection"}
    before = cognito.shown()
    assert pool.attach(OURS, None) == "attached"
    assert pool.detach(OURS, None) == "detached"
    assert without_dates(cognito.shown()) == without_dates(before)


REJECTIONS = {
    "InvalidSmsRoleTrustRelationshipException": (
        "Create the pool's SMS role arn:aws:iam::111122223333:role/sms again, or fix its trust policy: it must let"
        " cognito-idp.amazonaws.com assume the role with the external ID x."
    ),
    "InvalidSmsRoleAccessPolicyException": (
        "Allow sns:Publish to the pool's SMS role arn:aws:iam::111122223333:role/sms."
    ),
    "UserImportInProgressException": "Wait until the pool's user import job has ended, or stop the job.",
    "NotAuthorizedException": "Fix the setting in Cognito's message.",
}


@pytest.mark.parametrize("code", REJECTIONS)
def test_rejected_detach_names_the_fix(cognito: CognitoPool, pool: PoolTrigger, code: str) -> None:
    cognito.set_trigger(OURS)
    cognito.calls.answer_next("UpdateUserPool", error_response(code, message="Cognito's own words."))
    with pytest.raises(UpdateRejectedError) as raised:
        pool.detach(OURS, None)
    assert str(raised.value) == (
        f"user pool {POOL_ID} still has the post-confirmation trigger {OURS}: Cognito rejects UpdateUserPool, although"
        f" it changes no other setting of the pool. An error occurred ({code}) when calling the UpdateUserPool"
        f" operation: Cognito's own words. {REJECTIONS[code]} Then run the apply or destroy again. A destroy also ends"
        f' once the pool has another trigger, or none: docs/operations.md, "The trigger cannot be detached".'
    )
    assert cognito.settings == with_trigger(OURS)
    assert pool.detach(OURS, None) == "detached"


# With MFA off, SetUserPoolMfaConfig takes no factor.


def test_verification_restores_no_mfa_factors_when_mfa_is_off(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.settings["MfaConfiguration"] = "OFF"
    del cognito.mfa["SoftwareTokenMfaConfiguration"]
    assert "SmsMfaConfiguration" in cognito.shown()["Mfa"]
    cognito.calls.after("UpdateUserPool", None, lambda: cognito.mfa.pop("WebAuthnConfiguration", None))
    with pytest.raises(PoolChangedError, match=r"WebAuthnConfiguration\.UserVerification disappeared \(restored\)"):
        pool.attach(OURS, None)
    assert cognito.mfa == {name: value for name, value in MFA.items() if name != "SoftwareTokenMfaConfiguration"}


def test_verification_names_a_lost_factor_when_mfa_is_off(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.settings["MfaConfiguration"] = "OFF"
    cognito.calls.after("UpdateUserPool", None, lambda: cognito.mfa.pop("SoftwareTokenMfaConfiguration", None))
    with pytest.raises(
        PoolChangedError, match=r"SoftwareTokenMfaConfiguration\.Enabled disappeared \(could not be restored\)"
    ):
        pool.attach(OURS, None)


# Cognito is busy, or does not answer.

BUSY = [
    "AccessDeniedException",
    "ConcurrentModificationException",
    "InternalErrorException",
    "ServiceUnavailable",
    "ThrottlingException",
    "TooManyRequestsException",
]


@pytest.mark.parametrize("operation", ["DescribeUserPool", "GetUserPoolMfaConfig", "UpdateUserPool"])
@pytest.mark.parametrize("code", BUSY)
def test_calls_are_retried_while_cognito_is_busy(
    cognito: CognitoPool, pool: PoolTrigger, clock: Clock, operation: str, code: str
) -> None:
    busy = error_response(code, 500 if code in {"InternalErrorException", "ServiceUnavailable"} else 400)
    cognito.calls.answer_next(operation, busy, busy, busy)
    assert pool.attach(OURS, None) == "attached"
    assert cognito.settings == with_trigger(OURS)
    assert len(clock.slept) >= 3
    assert all(0 < pause <= 8 for pause in clock.slept)


@pytest.mark.parametrize("operation", ["DescribeUserPool", "GetUserPoolMfaConfig", "UpdateUserPool"])
def test_calls_without_a_response_are_retried(cognito: CognitoPool, pool: PoolTrigger, operation: str) -> None:
    cognito.calls.lose_next(operation, LOST)
    assert pool.attach(OURS, None) == "attached"
    assert cognito.settings == with_trigger(OURS)
    assert len(cognito.updates) == 1, "what was carried out is not repeated"


def test_calls_on_a_closed_connection_are_retried(cognito: CognitoPool, clock: Clock) -> None:
    # Over real HTTP: the connection closes under botocore.
    cognito.calls.lose_next("UpdateUserPool", LOST)
    with served(cognito) as url:
        client = boto3.client("cognito-idp", endpoint_url=url, config=ONCE)
        assert PoolTrigger(client, POOL_ID, RunningContext(clock, SECONDS)).attach(OURS, None) == "attached"
        cognito.calls.lose_next("DescribeUserPool", LOST, 100)
        with pytest.raises(ConnectionClosedError):
            PoolTrigger(client, POOL_ID, RunningContext(clock, SECONDS)).detach(OURS, None)
    assert cognito.settings == with_trigger(OURS)
    assert len(cognito.updates) == 1


@pytest.mark.parametrize("action", ["attach", "detach"])
def test_update_without_a_response_is_verified(cognito: CognitoPool, pool: PoolTrigger, action: str) -> None:
    cognito.set_trigger(OURS if action == "detach" else None)
    cognito.calls.lose_next("UpdateUserPool", LOST)
    cognito.calls.after("UpdateUserPool", None, lambda: cognito.settings.update(MfaConfiguration="ON"))
    with pytest.raises(PoolChangedError, match="MfaConfiguration"):
        getattr(pool, action)(OURS, None)


@pytest.mark.parametrize("carried_out", [True, False])
def test_last_update_without_a_response_is_verified_in_time(
    cognito: CognitoPool, pool: PoolTrigger, clock: Clock, carried_out: bool
) -> None:
    clock.seconds = SECONDS - (VERIFICATION_SECONDS + 0.5)  # no time for another update
    if carried_out:
        cognito.calls.lose_next("UpdateUserPool", LOST)
        cognito.calls.after("UpdateUserPool", None, lambda: cognito.settings.update(MfaConfiguration="ON"))
        with pytest.raises(PoolChangedError, match="MfaConfiguration"):
            pool.attach(OURS, None)
    else:
        cognito.calls.answer_next("UpdateUserPool", error_response("InternalErrorException", 500))
        with pytest.raises(ClientError, match="InternalErrorException"):
            pool.attach(OURS, None)
    assert cognito.calls.count("UpdateUserPool") == 1


def test_last_update_that_cannot_be_read_is_unverified(cognito: CognitoPool, pool: PoolTrigger, clock: Clock) -> None:
    clock.seconds = SECONDS - (VERIFICATION_SECONDS + 0.5)
    cognito.calls.lose_next("UpdateUserPool", LOST)
    throttled = [error_response("TooManyRequestsException")] * 50
    cognito.calls.after("UpdateUserPool", None, lambda: cognito.calls.answer_next("DescribeUserPool", *throttled))
    with pytest.raises(PoolUnverifiedError, match="TooManyRequestsException"):
        pool.attach(OURS, None)


def test_verification_retries_a_throttled_read(cognito: CognitoPool, pool: PoolTrigger) -> None:
    # The update took effect, and the read after it is throttled at first.
    def change() -> None:
        cognito.settings["MfaConfiguration"] = "OFF"
        cognito.calls.answer_next("DescribeUserPool", error_response("TooManyRequestsException"))

    cognito.calls.after("UpdateUserPool", None, change)
    with pytest.raises(PoolChangedError, match="MfaConfiguration"):
        pool.attach(OURS, None)


def test_verification_without_time_is_not_a_success(cognito: CognitoPool, pool: PoolTrigger, clock: Clock) -> None:
    # The time is over during the read after the update, and the trigger is attached.
    def then_be_busy() -> None:
        clock.seconds = SECONDS - 1.9
        cognito.calls.answer_next("DescribeUserPool", *[error_response("TooManyRequestsException")] * 2)

    cognito.calls.after("UpdateUserPool", None, then_be_busy)
    with pytest.raises(PoolUnverifiedError, match="TooManyRequestsException"):
        pool.attach(OURS, None)
    assert len(cognito.updates) == 1


@pytest.mark.parametrize("operation", ["DescribeUserPool", "GetUserPoolMfaConfig", "UpdateUserPool"])
def test_retries_end_with_cognitos_error_before_the_timeout(
    cognito: CognitoPool, pool: PoolTrigger, clock: Clock, operation: str
) -> None:
    cognito.calls.answer_next(operation, *[error_response("TooManyRequestsException")] * 100)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        pool.attach(OURS, None)
    assert clock.slept
    assert clock.seconds < SECONDS - 10, "time is left for an update that hangs, and its proof"
    assert cognito.trigger is None


def test_retries_end_without_a_response(cognito: CognitoPool, pool: PoolTrigger) -> None:
    cognito.calls.lose_next("DescribeUserPool", LOST, 100)
    with pytest.raises(ConnectionClosedError):
        pool.attach(OURS, None)


@pytest.mark.parametrize(
    "code", ["InvalidParameterException", "NotAuthorizedException", "UserImportInProgressException"]
)
def test_rejected_update_is_not_retried(cognito: CognitoPool, pool: PoolTrigger, clock: Clock, code: str) -> None:
    cognito.calls.answer_next("UpdateUserPool", error_response(code))
    with pytest.raises(UpdateRejectedError, match=code):
        pool.attach(OURS, None)
    assert clock.slept == []
    assert cognito.calls.count("UpdateUserPool") == 1


def test_client_is_unchanged_after_a_raw_request(cognito: CognitoPool, pool: PoolTrigger) -> None:
    # The replaced body belongs to one call, also where that call failed.
    cognito.calls.answer_next("UpdateUserPool", error_response("InvalidParameterException"))
    with pytest.raises(UpdateRejectedError):
        pool.attach(OURS, None)
    pool.client.update_user_pool(UserPoolId=POOL_ID, PoolName="by hand")
    assert cognito.updates == [{"UserPoolId": POOL_ID, "PoolName": "by hand"}]
    assert cognito.settings == DEFAULTS, "a reset, as AWS documents it"
