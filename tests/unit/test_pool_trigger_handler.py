"""What Terraform, the reconciliation or an operator asks of the pool_trigger function."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cognito_user_sync.chained_function import DRY_RUN, ChainedFunctionUnavailableError
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.handlers import pool_trigger
from cognito_user_sync.handlers.pool_trigger import TriggerMissingError
from cognito_user_sync.pool_trigger import ForeignTriggerError
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.clock import FakeContext
from tests.fakes.cognito_pool import UPDATE, CognitoPool
from tests.fakes.fake_aws import FakeAws
from tests.samples import OTHER, OURS, POOL_ID, THEIRS

INVOKE = "lambda.Invoke"
MAY_INVOKE = Response({"error": None})
NOT_ARRIVED = Response({"error": "AccessDeniedException"})


@pytest.fixture
def cognito(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> CognitoPool:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setenv("USER_POOL_ID", POOL_ID)
    monkeypatch.setenv("POST_CONFIRMATION_FUNCTION_ARN", OURS)
    monkeypatch.setenv("CHAINED_FUNCTION_ARN", "")
    pool = CognitoPool(settings={"QuantumLogin": {"Level": 3}})
    aws.serve(pool)
    return pool


@pytest.fixture
def chained(cognito: CognitoPool, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> CognitoPool:
    """A deployment with a chained function, which is the pool's trigger and may be invoked."""
    monkeypatch.setenv("CHAINED_FUNCTION_ARN", THEIRS)
    aws.on(INVOKE, MAY_INVOKE)
    cognito.set_trigger(THEIRS)
    return cognito


def call(action: str, **changes: Any) -> dict[str, str]:
    event = {"action": action, "user_pool_id": POOL_ID, "function_arn": OURS, "chained_function_arn": None, **changes}
    return pool_trigger.handler(event, FakeContext(60))


def test_handler_attaches_and_detaches(cognito: CognitoPool) -> None:
    assert call("attach") == {"action": "attach", "result": "attached"}
    assert cognito.trigger == OURS
    assert call("detach") == {"action": "detach", "result": "detached"}
    assert cognito.trigger is None


def test_settings_that_boto3_does_not_know_are_kept(cognito: CognitoPool) -> None:
    call("attach")
    assert cognito.settings["QuantumLogin"] == {"Level": 3}


def test_ensure_attaches_a_missing_trigger_and_fails(cognito: CognitoPool) -> None:
    with pytest.raises(TriggerMissingError, match="cognito-user-sync welcome --since 20"):
        call("ensure")
    assert cognito.trigger == OURS
    assert call("ensure") == {"action": "ensure", "result": "attached already"}


def test_ensure_counts_a_trigger_that_became_the_chained_one(chained: CognitoPool) -> None:
    with pytest.raises(TriggerMissingError, match=f"now it is attached, in place of {THEIRS}"):
        call("ensure", chained_function_arn=THEIRS)
    assert chained.trigger == OURS


def test_ensure_keeps_a_foreign_trigger(cognito: CognitoPool) -> None:
    cognito.set_trigger(OTHER)
    with pytest.raises(ForeignTriggerError):
        call("ensure")
    assert cognito.trigger == OTHER


@pytest.mark.parametrize("terraform_action", ["create", "update"])
def test_attach_acts_on_each_terraform_action(cognito: CognitoPool, terraform_action: str) -> None:
    call("attach", tf={"action": terraform_action, "prev_input": None})
    assert cognito.trigger == OURS


@pytest.mark.parametrize("terraform_action", ["create", "update"])
def test_detach_does_nothing_on_create_and_update(cognito: CognitoPool, terraform_action: str) -> None:
    call("attach")
    asked = list(cognito.calls.operations)
    answer = call("detach", tf={"action": terraform_action})
    assert answer == {"action": "detach", "result": "will detach on destroy"}
    assert cognito.trigger == OURS
    assert cognito.calls.operations == asked


def test_detach_acts_on_delete(cognito: CognitoPool) -> None:
    call("attach")
    assert call("detach", tf={"action": "delete"})["result"] == "detached"
    assert cognito.trigger is None


def test_handler_replaces_and_restores_the_chained_function(chained: CognitoPool) -> None:
    call("attach", chained_function_arn=THEIRS)
    assert chained.trigger == OURS
    call("detach", chained_function_arn=THEIRS, tf={"action": "delete"})
    assert chained.trigger == THEIRS


def test_paused_trigger_is_detached_and_not_attached(cognito: CognitoPool, monkeypatch: pytest.MonkeyPatch) -> None:
    call("attach")
    monkeypatch.setenv("TRIGGER_PAUSED_SINCE", "2026-01-01T00:00:00Z")
    assert call("detach")["result"] == "detached"
    for action in ("attach", "ensure"):
        assert call(action)["result"] == "not attached: paused since 2026-01-01T00:00:00Z"
    assert cognito.trigger is None
    with pytest.raises(InvalidEventError):
        call("attach", function_arn=OTHER)


# --- the chained function


def test_attach_asks_post_confirmation_about_the_chained_function(chained: CognitoPool, aws: FakeAws) -> None:
    call("attach", chained_function_arn=THEIRS)
    (asked,) = [each for each in aws.calls if each.operation == INVOKE]
    assert (asked.path, asked.body) == (f"/2015-03-31/functions/{OURS}/invocations", DRY_RUN)


@pytest.mark.parametrize("trigger", [THEIRS, OURS, None])
def test_attach_fails_if_the_chained_function_does_not_exist(
    chained: CognitoPool, aws: FakeAws, trigger: str | None
) -> None:
    chained.set_trigger(trigger)
    aws.on(INVOKE, Response({"error": "ResourceNotFoundException"}), MAY_INVOKE)
    named = f"^chained_function_arn is {THEIRS}, which {OURS} cannot invoke: ResourceNotFoundException"
    with pytest.raises(ChainedFunctionUnavailableError, match=named):
        call("attach", chained_function_arn=THEIRS)
    assert (chained.trigger, chained.calls.operations) == (trigger, [])


@pytest.mark.parametrize(
    "answer", [NOT_ARRIVED, error_response("AccessDeniedException"), Response({"error": "ReadTimeoutError"})]
)
def test_attach_waits_for_permission_to_invoke_the_chained_function(
    chained: CognitoPool, aws: FakeAws, answer: Answer
) -> None:
    aws.on(INVOKE, answer, answer, MAY_INVOKE)
    call("attach", chained_function_arn=THEIRS)
    assert chained.trigger == OURS


@pytest.mark.parametrize(
    "answer",
    [
        NOT_ARRIVED,
        error_response("AccessDeniedException"),
        Response({"errorType": "AccessDeniedException"}, headers={"X-Amz-Function-Error": "Unhandled"}),
    ],
)
def test_attach_fails_without_permission_to_invoke_the_chained_function(
    chained: CognitoPool, aws: FakeAws, answer: Answer
) -> None:
    aws.on(INVOKE, answer)
    with pytest.raises(ChainedFunctionUnavailableError, match="cannot invoke: AccessDeniedException"):
        pool_trigger.handler({"action": "attach", "user_pool_id": POOL_ID, "function_arn": OURS}, FakeContext(46))
    assert chained.trigger == THEIRS


def test_attach_fails_if_post_confirmation_is_not_there(chained: CognitoPool, aws: FakeAws) -> None:
    aws.on(INVOKE, error_response("ResourceNotFoundException", 404))
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        call("attach", chained_function_arn=THEIRS)
    assert chained.trigger == THEIRS


def test_detach_does_not_need_the_chained_function(chained: CognitoPool, aws: FakeAws) -> None:
    chained.set_trigger(OURS)
    call("detach", chained_function_arn=THEIRS)
    assert chained.trigger == THEIRS
    assert INVOKE not in aws.operations


# --- the environment names what may be attached and put back


def test_handler_uses_the_chained_function_of_the_environment(chained: CognitoPool) -> None:
    """So are Terraform's: the input that destroy sends may be older than the environment."""
    request = {"user_pool_id": POOL_ID, "function_arn": OURS}
    pool_trigger.handler({"action": "attach", **request}, FakeContext(60))
    assert chained.trigger == OURS
    pool_trigger.handler({"action": "detach", **request, "tf": {"action": "delete"}}, FakeContext(60))
    assert chained.trigger == THEIRS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_pool_id", "eu-central-1_another"),
        ("function_arn", OTHER),
        ("function_arn", THEIRS),
        ("chained_function_arn", OTHER),
        ("chained_function_arn", OURS),
        ("chained_function_arn", f"{THEIRS}:live"),
        ("chained_function_arn", ""),
        ("chained_function_arn", None),
    ],
)
def test_handler_rejects_an_event_of_another_deployment(chained: CognitoPool, name: str, value: str | None) -> None:
    """The permission to invoke the function is not the permission to give the pool's sign-ups to any function."""
    for action, trigger in (("attach", None), ("attach", THEIRS), ("attach", OTHER), ("detach", OURS)):
        chained.set_trigger(trigger)
        for terraform in ({}, {"tf": {"action": "create"}}, {"tf": {"action": "delete"}}):
            event = {"chained_function_arn": THEIRS, **terraform, name: value}
            with pytest.raises(InvalidEventError, match=f"^{name} is .*that of this deployment$"):
                call(action, **event)
        assert chained.trigger == trigger
    assert chained.calls.operations == []


def test_handler_rejects_a_chained_function_if_none_is_set(cognito: CognitoPool) -> None:
    call("attach")
    asked = list(cognito.calls.operations)
    values: tuple[Any, ...] = (THEIRS, 0, False, [])
    for value in values:
        with pytest.raises(
            InvalidEventError, match="^chained_function_arn is .*: it must be None, that of this deployment$"
        ):
            call("detach", chained_function_arn=value)
    assert (cognito.trigger, cognito.calls.operations) == (OURS, asked)


def test_rejection_does_not_repeat_a_long_value(cognito: CognitoPool) -> None:
    with pytest.raises(InvalidEventError) as raised:
        call("attach", user_pool_id="x" * 100_000)
    assert len(str(raised.value)) < 500


def test_attach_fails_for_a_foreign_trigger(cognito: CognitoPool) -> None:
    cognito.set_trigger(THEIRS)
    with pytest.raises(ForeignTriggerError, match=THEIRS):
        call("attach")
    assert cognito.updates == []


def test_handler_detaches_from_a_pool_that_does_not_exist(cognito: CognitoPool) -> None:
    # Destroy must not hang on a pool that was destroyed first.
    cognito.exists = False
    assert call("detach", tf={"action": "delete"})["result"] == "nothing to detach: the user pool does not exist"


def test_handler_retries_while_cognito_is_busy(cognito: CognitoPool) -> None:
    cognito.calls.answer_next(UPDATE, *[error_response("TooManyRequestsException")] * 7)
    call("attach")
    assert cognito.trigger == OURS


@pytest.mark.parametrize("action", [None, "", "Attach", "delete", 7, ["attach"], {}], ids=repr)
def test_handler_rejects_an_unknown_action(cognito: CognitoPool, action: Any) -> None:
    with pytest.raises(InvalidEventError, match="must be attach, detach or ensure"):
        call(action)
    assert cognito.calls.operations == []


@pytest.mark.parametrize("action", ["attach", "detach"])
@pytest.mark.parametrize("name", ["user_pool_id", "function_arn"])
@pytest.mark.parametrize("value", [None, "", 7, ["x"]], ids=repr)
def test_handler_names_a_missing_field(cognito: CognitoPool, action: str, name: str, value: Any) -> None:
    with pytest.raises(InvalidEventError, match=f"^{name} is missing$"):
        call(action, **{name: value})
    assert cognito.calls.operations == []


def test_handler_rejects_an_empty_event() -> None:
    with pytest.raises(InvalidEventError, match="action is None"):
        pool_trigger.handler({}, FakeContext(60))


@pytest.mark.parametrize("event", [None, [], "attach", 7], ids=repr)
def test_handler_rejects_an_event_that_is_not_an_object(event: Any) -> None:
    with pytest.raises(InvalidEventError, match="not an object"):
        pool_trigger.handler(event, FakeContext(60))


@pytest.mark.parametrize(
    "changes", [{"tf": "delete"}, {"tf": None}, {"chained_function_arn": ["x"]}, {"chained_function_arn": 7}], ids=repr
)
def test_handler_names_an_invalid_field(cognito: CognitoPool, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError, match=f"^{next(iter(changes))} is "):
        call("detach", **changes)
    assert cognito.calls.operations == []
