"""The pool is somebody else's: one field of it changes, and nothing else."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cognito_user_sync import lambda_config
from cognito_user_sync.lambda_config import ForeignTrigger, PoolChanged, PoolUnproved, UserPool, keep_raw_body
from tests.unit.fakes import FakePool, Response, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL_ID = "eu-central-1_abcdefghi"
LAMBDA = "arn:aws:lambda:eu-central-1:111122223333:function"
OURS, THEIRS, OTHER = f"{LAMBDA}:ours", f"{LAMBDA}:theirs", f"{LAMBDA}:other"


_MODEL: Any = ServiceModel(Loader().load_service_model("cognito-idp", "service-2"))
SHOWN = frozenset(_MODEL.shape_for("UserPoolType").members)
TRIGGERS = frozenset(_MODEL.shape_for("LambdaConfigType").members)
# What DescribeUserPool shows and UpdateUserPool does not take, by the model of the installed botocore.
FACTS = SHOWN - frozenset(_MODEL.shape_for("UpdateUserPoolRequest").members)

# Facts about the pool, as DescribeUserPool shows them.
POOL_FACTS: dict[str, Any] = {
    "Id": POOL_ID,
    "Name": "somebody else's pool",
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
    "UserPoolTags": {"owner": "somebody else", "empty": ""},
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


def with_trigger(trigger: str | None, pool_settings: dict[str, Any] = SETTINGS) -> dict[str, Any]:
    pool = copy.deepcopy(pool_settings)
    if trigger:
        pool.setdefault("LambdaConfig", {})["PostConfirmation"] = trigger
    return pool


class Clock:
    """Time that passes only where the code sleeps."""

    def __init__(self) -> None:
        self.seconds_left = 30.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds_left -= seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


@pytest.fixture
def cognito() -> FakePool:
    return FakePool({**POOL_FACTS, **with_trigger(None)}, FACTS)


@pytest.fixture
def pool(cognito: FakePool, clock: Clock) -> Iterator[UserPool]:
    with cognito.served() as url:
        client = boto3.client("cognito-idp", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))
        keep_raw_body(client)
        yield UserPool(client, POOL_ID, lambda: clock.seconds_left)


def settings_of(cognito: FakePool) -> dict[str, Any]:
    assert cognito.state is not None
    return {name: value for name, value in cognito.state.items() if name not in FACTS}


def trigger_of(cognito: FakePool) -> str | None:
    trigger: str | None = settings_of(cognito).get("LambdaConfig", {}).get("PostConfirmation")
    return trigger


def test_the_members_dropped_are_exactly_those_that_update_does_not_take() -> None:
    assert lambda_config._NOT_SETTINGS == FACTS


def test_attach_sends_every_setting_back_as_it_was_and_our_trigger(cognito: FakePool, pool: UserPool) -> None:
    assert pool.attach(OURS, None) == "attached"
    assert cognito.updates == [
        {**with_trigger(OURS), "UserPoolId": POOL_ID, "PoolName": "somebody else's pool"},
    ]
    assert settings_of(cognito) == with_trigger(OURS)
    assert cognito.state is not None
    assert {name: cognito.state[name] for name in POOL_FACTS} == POOL_FACTS


def test_detach_sends_every_setting_back_as_it_was_without_our_trigger(cognito: FakePool, pool: UserPool) -> None:
    cognito.state = {**POOL_FACTS, **with_trigger(OURS)}
    assert pool.detach(OURS, None) == "detached"
    assert settings_of(cognito) == with_trigger(None)


def test_a_pool_without_any_trigger_is_the_same_after_attach_and_detach(cognito: FakePool, pool: UserPool) -> None:
    bare = {name: value for name, value in SETTINGS.items() if name != "LambdaConfig"}
    cognito.state = {**POOL_FACTS, **bare}
    pool.attach(OURS, None)
    assert settings_of(cognito) == {**bare, "LambdaConfig": {"PostConfirmation": OURS}}
    pool.detach(OURS, None)
    assert settings_of(cognito) == {**bare, "LambdaConfig": {}}


_JSON: Any = st.recursive(
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
# Of the settings that boto3 knows, only those that are plain strings: it reads the others itself, and strictly.
_KNOWN = {"SmsAuthenticationMessage", "EmailVerificationMessage", "EmailVerificationSubject", "SmsVerificationMessage"}
_UNKNOWN = st.text(max_size=15).filter(lambda name: name not in SHOWN | {"PoolName", "UserPoolId"})
_CONFIGURATIONS = st.builds(
    lambda known, unknown: known | unknown,
    st.dictionaries(st.sampled_from(sorted(_KNOWN)), st.text(max_size=30), max_size=3),
    st.dictionaries(_UNKNOWN, _JSON, max_size=4),
)
_TRIGGERS = st.dictionaries(st.text(max_size=9).filter(lambda name: name not in TRIGGERS), _JSON, max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(configuration=_CONFIGURATIONS, triggers=_TRIGGERS)
def test_any_configuration_outlives_attach_and_detach(
    cognito: FakePool, pool: UserPool, configuration: dict[str, Any], triggers: dict[str, Any]
) -> None:
    before = {**configuration, "LambdaConfig": triggers}
    cognito.state = {**POOL_FACTS, **copy.deepcopy(before)}
    pool.attach(OURS, None)
    assert settings_of(cognito) == {**configuration, "LambdaConfig": {**triggers, "PostConfirmation": OURS}}
    pool.detach(OURS, None)
    assert settings_of(cognito) == before


def test_a_second_attach_updates_nothing(cognito: FakePool, pool: UserPool) -> None:
    pool.attach(OURS, None)
    assert pool.attach(OURS, None) == "attached already"
    assert len(cognito.updates) == 1


def test_a_second_detach_updates_nothing(cognito: FakePool, pool: UserPool) -> None:
    pool.attach(OURS, None)
    pool.detach(OURS, None)
    assert pool.detach(OURS, None) == "nothing to detach: the trigger is not set"
    assert len(cognito.updates) == 2


@pytest.mark.parametrize("chained", [None, OTHER], ids=["none-chained", "another-chained"])
def test_a_foreign_trigger_is_named_and_left_alone(cognito: FakePool, pool: UserPool, chained: str | None) -> None:
    cognito.state = {**POOL_FACTS, **with_trigger(THEIRS)}
    with pytest.raises(ForeignTrigger, match=THEIRS):
        pool.attach(OURS, chained)
    assert cognito.updates == []


def test_the_chained_trigger_is_replaced_on_attach_and_put_back_on_detach(cognito: FakePool, pool: UserPool) -> None:
    cognito.state = {**POOL_FACTS, **with_trigger(THEIRS)}
    assert pool.attach(OURS, THEIRS) == f"attached, in place of {THEIRS}"
    assert settings_of(cognito) == with_trigger(OURS)
    assert pool.detach(OURS, THEIRS) == f"detached, {THEIRS} put back"
    assert settings_of(cognito) == with_trigger(THEIRS)


def test_a_trigger_that_is_not_ours_is_not_detached(cognito: FakePool, pool: UserPool) -> None:
    # Somebody took the trigger over since.
    cognito.state = {**POOL_FACTS, **with_trigger(THEIRS)}
    assert pool.detach(OURS, OTHER) == f"nothing to detach: the trigger is {THEIRS}"
    assert cognito.updates == []


def test_a_pool_that_is_gone_needs_no_detach(cognito: FakePool, pool: UserPool) -> None:
    cognito.state = None
    assert pool.detach(OURS, None) == "nothing to detach: the user pool does not exist"
    assert cognito.updates == []


def test_a_pool_that_is_gone_cannot_be_attached_to(cognito: FakePool, pool: UserPool) -> None:
    cognito.state = None
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        pool.attach(OURS, None)


# AdminCreateUserConfig.UnusedAccountValidityDays is the old name of PasswordPolicy.TemporaryPasswordValidityDays.


def test_the_old_name_of_a_setting_is_sent_under_the_new_one(cognito: FakePool, pool: UserPool) -> None:
    assert cognito.state is not None
    cognito.state["AdminCreateUserConfig"] = {"AllowAdminCreateUserOnly": True, "UnusedAccountValidityDays": 9}
    cognito.state["Policies"] = {"PasswordPolicy": {"MinimumLength": 8}}

    def show_both(state: dict[str, Any]) -> None:
        state["AdminCreateUserConfig"]["UnusedAccountValidityDays"] = 9

    cognito.after_update = show_both
    pool.attach(OURS, None)
    [update] = cognito.updates
    assert update["Policies"] == {"PasswordPolicy": {"MinimumLength": 8, "TemporaryPasswordValidityDays": 9}}
    assert update["LambdaConfig"]["PostConfirmation"] == OURS


def test_where_both_names_are_shown_the_new_one_holds_and_the_old_one_is_not_sent(
    cognito: FakePool, pool: UserPool
) -> None:
    assert cognito.state is not None
    cognito.state["AdminCreateUserConfig"] = {"AllowAdminCreateUserOnly": True, "UnusedAccountValidityDays": 9}
    pool.attach(OURS, None)
    [update] = cognito.updates
    assert update["Policies"] == SETTINGS["Policies"]
    assert update["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}


def test_where_neither_name_is_shown_none_is_made_up(cognito: FakePool, pool: UserPool) -> None:
    assert cognito.state is not None
    del cognito.state["Policies"], cognito.state["AdminCreateUserConfig"]
    pool.attach(OURS, None)
    assert cognito.updates[0].keys().isdisjoint({"Policies", "AdminCreateUserConfig"})


# Somebody else changes the pool at the same moment.


def test_a_setting_that_changed_with_the_update_is_named(cognito: FakePool, pool: UserPool) -> None:
    def reset(state: dict[str, Any]) -> None:
        state["MfaConfiguration"] = "OFF"
        del state["QuantumLogin"]
        state["NewDefault"] = 1

    cognito.after_update = reset
    with pytest.raises(PoolChanged, match=r"MfaConfiguration, NewDefault, QuantumLogin changed") as raised:
        pool.attach(OURS, None)
    assert POOL_ID in str(raised.value)
    assert "UserPoolTags" not in str(raised.value)


def test_another_trigger_that_changed_with_the_update_is_named(cognito: FakePool, pool: UserPool) -> None:
    def reset(state: dict[str, Any]) -> None:
        del state["LambdaConfig"]["PreSignUp"]

    cognito.after_update = reset
    with pytest.raises(PoolChanged, match="LambdaConfig"):
        pool.attach(OURS, None)


@pytest.mark.parametrize("action", ["attach", "detach"])
def test_a_change_that_made_our_update_conflict_is_not_undone_by_its_retry(
    cognito: FakePool, pool: UserPool, action: str
) -> None:
    cognito.state = {**POOL_FACTS, **with_trigger(OURS if action == "detach" else None)}

    def somebody_was_faster() -> Response:
        assert cognito.state is not None
        cognito.state["MfaConfiguration"] = "ON"
        return refusal("ConcurrentModificationException")

    cognito.refuse("UpdateUserPool", somebody_was_faster)
    getattr(pool, action)(OURS, None)
    assert settings_of(cognito)["MfaConfiguration"] == "ON"
    assert trigger_of(cognito) == (OURS if action == "attach" else None)


def test_a_trigger_that_was_set_while_ours_conflicted_is_foreign(cognito: FakePool, pool: UserPool) -> None:
    def somebody_was_faster() -> Response:
        assert cognito.state is not None
        cognito.state["LambdaConfig"]["PostConfirmation"] = THEIRS
        return refusal("ConcurrentModificationException")

    cognito.refuse("UpdateUserPool", somebody_was_faster)
    with pytest.raises(ForeignTrigger, match=THEIRS):
        pool.attach(OURS, None)
    assert trigger_of(cognito) == THEIRS


# Cognito is busy.

BUSY = [
    "AccessDeniedException",
    "ConcurrentModificationException",
    "InternalErrorException",
    "TooManyRequestsException",
]


@pytest.mark.parametrize("operation", ["DescribeUserPool", "UpdateUserPool"])
@pytest.mark.parametrize("code", BUSY)
def test_a_busy_cognito_is_asked_again_after_a_pause(
    cognito: FakePool, pool: UserPool, clock: Clock, operation: str, code: str
) -> None:
    busy = refusal(code, 500 if code == "InternalErrorException" else 400)
    cognito.refuse(operation, lambda: busy, lambda: busy, lambda: busy)
    assert pool.attach(OURS, None) == "attached"
    assert settings_of(cognito) == with_trigger(OURS)
    assert len(clock.pauses) == 3
    assert all(0 < pause <= 8 for pause in clock.pauses)


def test_a_pool_whose_proof_was_delayed_is_proved_all_the_same(cognito: FakePool, pool: UserPool) -> None:
    # The update went through, and the look at its result is refused at first.
    def reset(state: dict[str, Any]) -> None:
        state["MfaConfiguration"] = "OFF"
        cognito.refuse("DescribeUserPool", lambda: refusal("TooManyRequestsException"))

    cognito.after_update = reset
    with pytest.raises(PoolChanged, match="MfaConfiguration"):
        pool.attach(OURS, None)


def test_a_change_that_could_not_be_proved_is_no_success(cognito: FakePool, pool: UserPool, clock: Clock) -> None:
    # Time runs out on the look at the result, and by then the trigger is there.
    def then_be_busy(state: dict[str, Any]) -> None:
        state["MfaConfiguration"] = "OFF"
        clock.seconds_left = 1.9
        cognito.refuse("DescribeUserPool", *[lambda: refusal("TooManyRequestsException")] * 2)

    cognito.after_update = then_be_busy
    with pytest.raises(PoolUnproved, match="TooManyRequestsException"):
        pool.attach(OURS, None)
    assert len(cognito.updates) == 1


@pytest.mark.parametrize("operation", ["DescribeUserPool", "UpdateUserPool"])
def test_it_gives_up_with_cognitos_own_error_before_the_time_is_over(
    cognito: FakePool, pool: UserPool, clock: Clock, operation: str
) -> None:
    cognito.refuse(operation, *[lambda: refusal("TooManyRequestsException")] * 100)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        pool.attach(OURS, None)
    assert clock.pauses
    assert clock.seconds_left > 0
    assert trigger_of(cognito) is None


@pytest.mark.parametrize(
    "code", ["InvalidParameterException", "NotAuthorizedException", "UserImportInProgressException"]
)
def test_what_will_be_refused_again_is_not_repeated(cognito: FakePool, pool: UserPool, clock: Clock, code: str) -> None:
    cognito.refuse("UpdateUserPool", lambda: refusal(code))
    with pytest.raises(ClientError, match=code):
        pool.attach(OURS, None)
    assert clock.pauses == []


def test_the_client_sends_its_next_update_by_the_model_again(cognito: FakePool, pool: UserPool) -> None:
    # The replaced body belongs to one call, also where that call failed.
    cognito.refuse("UpdateUserPool", lambda: refusal("InvalidParameterException"))
    with pytest.raises(ClientError):
        pool.attach(OURS, None)
    pool.client.update_user_pool(UserPoolId=POOL_ID, PoolName="by hand")
    assert cognito.updates == [{"UserPoolId": POOL_ID, "PoolName": "by hand"}]
