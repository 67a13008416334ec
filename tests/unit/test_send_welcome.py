"""Who gets the welcome email, at which address, with what content, and how often: once."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ReadTimeoutError

from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.handlers import send_welcome
from cognito_user_sync.settings import MissingSettingError
from cognito_user_sync.sync_request import NotConsistentYetError
from cognito_user_sync.user import UnusableUserError
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import Outcome
from cognito_user_sync.welcome_email import (
    UnknownPlaceholderError,
    WelcomeNotSentError,
    WelcomeOutcomeUnknownError,
    WelcomeRejectedError,
)
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.clock import FakeContext
from tests.fakes.cognito_pool import CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OTHER_SUB, POOL_ID, SUB

if TYPE_CHECKING:
    from collections.abc import Callable

GET, SEND = f"{COGNITO}.AdminGetUser", "sesv2.SendEmail"
TEMPLATE: dict[str, Any] = {
    "from": "hello@example.com",
    "subject": "Welcome, {{username}}",
    "text": "Hello {{name}}: {{custom:plan}}",
    "html": "<p>Hello {{name}}</p>",
    "reply_to": None,
    "configuration_set": None,
    "app_client_ids": [],
}


def an_input(**changes: Any) -> dict[str, Any]:
    """The output of SyncUser."""
    return {
        "sub": SUB,
        "username": "ada.l",
        "reason": "sign_up",
        "client_id": "app1",
        "outcome": "created",
        **changes,
    }


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    monkeypatch.setenv("ATTRIBUTES", '["name","email","custom:plan"]')
    monkeypatch.setenv("USER_POOL_ID", POOL_ID)
    file = tmp_path / "welcome_email.json"
    monkeypatch.syspath_prepend(tmp_path)

    def write(**changes: Any) -> None:
        file.write_text(json.dumps({**TEMPLATE, **changes}), encoding="utf-8")

    write()
    return write


@pytest.fixture
def users() -> UsersInMemory:
    """The users of the pool."""
    attributes = {"name": "Ada", "email": "ada@example.com", "email_verified": "true"}
    return UsersInMemory(CognitoUser(SUB, "ada.l", attributes))


@pytest.fixture
def ses(aws: FakeAws, template: Callable[..., None], users: UsersInMemory) -> FakeAws:
    aws.serve(CognitoPool(users))
    aws.on(SEND, Response({"MessageId": "m1"}))
    return aws


def send(**changes: Any) -> dict[str, Any]:
    return send_welcome.handler(an_input(**changes), FakeContext())


def recipients(ses: FakeAws) -> list[str]:
    """Return the addresses of all emails."""
    emails = [call.body["Destination"] for call in ses.calls if call.operation == SEND]
    assert all(destination.keys() == {"ToAddresses"} for destination in emails)
    return [address for destination in emails for address in destination["ToAddresses"]]


def assert_not_sent(ses: FakeAws, why_not: str, **changes: Any) -> None:
    assert send(**changes) == {**an_input(**changes), "sent": False, "why_not": why_not}
    assert SEND not in ses.operations


def test_send_welcome_names_a_missing_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(MissingSettingError, match="layers .* welcome_email.json"):
        send()


def test_send_welcome_sends_the_email_to_a_new_user(ses: FakeAws) -> None:
    assert send() == {**an_input(), "sent": True, "message_id": "m1"}
    get, email = ses.calls
    assert (get.operation, get.body) == (GET, {"UserPoolId": POOL_ID, "Username": "ada.l"})
    assert email.body["Destination"] == {"ToAddresses": ["ada@example.com"]}
    assert email.body["EmailTags"] == [{"Name": "sub", "Value": SUB}]
    content = email.body["Content"]["Simple"]
    assert content["Subject"]["Data"] == "Welcome, ada.l"
    assert content["Body"]["Text"]["Data"] == "Hello Ada: "
    assert content["Body"]["Html"]["Data"] == "<p>Hello Ada</p>"


@pytest.mark.parametrize("outcome", Outcome)
def test_cognito_decides_and_not_the_outcome_of_the_write(ses: FakeAws, outcome: Outcome) -> None:
    """A repeated SyncUser, or a faster reconciliation, must not cost the user the email."""
    assert send(outcome=str(outcome))["sent"] is True


def test_send_welcome_uses_the_current_address(ses: FakeAws, users: UsersInMemory) -> None:
    changed = {"name": "Countess", "email": "countess@example.com", "email_verified": "true"}
    users[SUB].change(attributes=changed)
    send()
    assert recipients(ses) == ["countess@example.com"]
    assert ses.calls[1].body["Content"]["Simple"]["Body"]["Html"]["Data"] == "<p>Hello Countess</p>"


def test_attributes_in_the_input_change_nothing(ses: FakeAws) -> None:
    """A caller of StartExecution cannot choose an address."""
    send(attributes={"name": "Eve", "email": "eve@example.com"}, email="eve@example.com")
    assert recipients(ses) == ["ada@example.com"]
    assert "Eve" not in json.dumps(ses.calls[1].body)


def test_send_welcome_returns_no_attribute(ses: FakeAws, users: UsersInMemory) -> None:
    """Step Functions keeps it in the execution's history, and puts it on the event bus."""
    values = {"name": "canary", "email": "canary@example.com", "email_verified": "true"}
    users[SUB].attributes = values
    assert "canary" not in json.dumps(send())
    users[SUB].attributes = {**values, "email": "canary"}
    assert "canary" not in json.dumps(send())


@pytest.mark.parametrize(
    ("settings", "region"), [({"region": "eu-central-1"}, "eu-central-1"), ({"region": None}, None)]
)
def test_welcome_is_sent_by_ses_of_its_region(
    ses: FakeAws, template: Callable[..., None], settings: dict[str, Any], region: str | None
) -> None:
    """By default of the function's own region."""
    template(**settings)
    with patch.object(ses.session, "client", wraps=ses.session.client) as client:
        send()
    assert client.call_args.args == ("sesv2",)
    assert client.call_args.kwargs["region_name"] == region


@pytest.mark.parametrize(("locale", "subject"), [("de-AT", "Willkommen, ada.l"), ("fr", "Welcome, ada.l")])
def test_email_is_in_the_language_of_the_user(
    ses: FakeAws, template: Callable[..., None], users: UsersInMemory, locale: str, subject: str
) -> None:
    translation = {"subject": "Willkommen, {{username}}", "text": "Hallo", "html": "<p>Hallo</p>"}
    template(translations={"de": translation})
    users[SUB].attributes["locale"] = locale
    send()
    assert ses.calls[1].body["Content"]["Simple"]["Subject"]["Data"] == subject


def test_send_welcome_sends_to_an_international_domain_in_ascii(ses: FakeAws, users: UsersInMemory) -> None:
    users[SUB].attributes["email"] = "ada@münchen.de"
    send()
    assert recipients(ses) == ["ada@xn--mnchen-3ya.de"]


# Who gets no email, and why.


def test_send_welcome_skips_a_password_reset(ses: FakeAws) -> None:
    assert_not_sent(ses, "not_a_sign_up", reason="password_reset")
    assert SEND not in ses.operations


def test_send_welcome_skips_a_deleted_user(ses: FakeAws, users: UsersInMemory) -> None:
    users.remove(SUB)
    assert_not_sent(ses, "user_deleted")


def test_send_welcome_skips_another_user_with_the_username(ses: FakeAws, users: UsersInMemory) -> None:
    users.remove(SUB)
    users.add(CognitoUser(OTHER_SUB, "ada.l", {"email": "eve@example.com"}))
    assert_not_sent(ses, "user_deleted")


def test_send_welcome_skips_a_wrong_sub(ses: FakeAws) -> None:
    assert_not_sent(ses, "user_deleted", sub=OTHER_SUB)


def test_send_welcome_skips_a_disabled_user(ses: FakeAws, users: UsersInMemory) -> None:
    users[SUB].enabled = False
    assert_not_sent(ses, "user_disabled")


def test_send_welcome_skips_an_unconfirmed_user(ses: FakeAws, users: UsersInMemory) -> None:
    """A forged request cannot send an email to an unconfirmed address."""
    users[SUB].status = "UNCONFIRMED"
    assert_not_sent(ses, "user_unconfirmed", outcome="unconfirmed")


def test_send_welcome_retries_a_user_whom_sync_user_saw_confirmed(ses: FakeAws, users: UsersInMemory) -> None:
    users[SUB].status = "UNCONFIRMED"
    with pytest.raises(NotConsistentYetError, match=SUB):
        send()
    assert SEND not in ses.operations


@pytest.mark.parametrize("status", ["CONFIRMED", "EXTERNAL_PROVIDER", "RESET_REQUIRED"])
def test_send_welcome_sends_the_email_for_any_other_status(ses: FakeAws, users: UsersInMemory, status: str) -> None:
    users[SUB].status = status
    assert send()["sent"] is True


@pytest.mark.parametrize(
    "attributes",
    [{}, {"email": ""}, {"email": "ada@example.com,eve@example.com"}, {"email": "ada@example.com\r\nBcc: eve@x.org"}],
    ids=["none", "empty", "list", "header"],
)
def test_send_welcome_skips_a_user_without_a_valid_address(
    ses: FakeAws, users: UsersInMemory, attributes: dict[str, str]
) -> None:
    users[SUB].attributes = attributes
    assert_not_sent(ses, "no_deliverable_address")


@pytest.mark.parametrize("client_id", ["app1", "app2"])
def test_send_welcome_sends_the_email_for_a_listed_app_client(
    ses: FakeAws, template: Callable[..., None], client_id: str
) -> None:
    template(app_client_ids=["app1", "app2"])
    assert send(client_id=client_id)["sent"] is True


@pytest.mark.parametrize("client_id", ["app3", ""])
def test_send_welcome_skips_another_app_client(ses: FakeAws, template: Callable[..., None], client_id: str) -> None:
    template(app_client_ids=["app1", "app2"])
    assert_not_sent(ses, "other_app_client", client_id=client_id)
    assert SEND not in ses.operations


def test_without_named_app_clients_every_sign_up_gets_the_email(ses: FakeAws) -> None:
    event = an_input()
    del event["client_id"]
    assert send_welcome.handler(event, FakeContext())["sent"] is True


@pytest.mark.parametrize("verified", [{"email_verified": "false"}, {}], ids=["not verified", "unknown"])
def test_send_welcome_skips_an_unverified_address(ses: FakeAws, users: UsersInMemory, verified: dict[str, str]) -> None:
    users[SUB].attributes = {"email": "ada@example.com", **verified}
    assert_not_sent(ses, "address_not_verified")


@pytest.mark.parametrize("verified_only", [True, False])
def test_verified_only_false_sends_to_unverified_address(
    ses: FakeAws, template: Callable[..., None], users: UsersInMemory, verified_only: bool
) -> None:
    template(verified_only=verified_only)
    users[SUB].attributes["email_verified"] = "false"
    assert send()["sent"] is not verified_only


# The welcome email as a vehicle for phishing: the sender is verified, and the words are a stranger's.

ADVERTISEMENT = "You have won! Claim your prize at https://evil.example/prize until midnight"


def test_sign_ups_with_anothers_address_send_no_email(ses: FakeAws, users: UsersInMemory) -> None:
    """The pool does not verify addresses, and one mailbox has any number of them."""
    for number in range(1, 6):
        sub = f"{SUB[:8]}-{number}{SUB[10:]}"
        users.add(CognitoUser(sub, f"{ADVERTISEMENT} {number}", {"email": f"victim+{number}@example.com"}))
        assert send(sub=sub, username=f"{ADVERTISEMENT} {number}")["why_not"] == "address_not_verified"
    assert recipients(ses) == []


@pytest.mark.parametrize(
    ("status", "subject"), [("EXTERNAL_PROVIDER", "Welcome, ada"), ("CONFIRMED", "Welcome, Google_1084")]
)
def test_federated_user_is_not_called_by_the_username(
    ses: FakeAws, template: Callable[..., None], users: UsersInMemory, status: str, subject: str
) -> None:
    template(subject="Welcome, {{display_name}}")
    users[SUB].username, users[SUB].status = "Google_1084", status
    del users[SUB].attributes["name"]
    send(username="Google_1084")
    assert ses.calls[1].body["Content"]["Simple"]["Subject"]["Data"] == subject


def test_link_in_a_username_is_not_in_the_email(ses: FakeAws, users: UsersInMemory) -> None:
    users[SUB].username = ADVERTISEMENT
    assert send(username=ADVERTISEMENT)["sent"] is True
    assert "evil" not in json.dumps(ses.calls[1].body)


@pytest.mark.parametrize(
    "email",
    [
        *["info@faß.de", "info@σοφός.gr", "info@نامه\u200cای.com", "info@ශ්\u200dරී.com"],
        *["info@exam\u200bple.com", "info@\u2100.example", "a@localhost", "a..b@x.example", ".a@x.example"],
    ],
    ids=ascii,
)
def test_address_that_may_be_another_mailbox_gets_no_email(ses: FakeAws, users: UsersInMemory, email: str) -> None:
    """Cognito may have verified it: it sends its code by other software than this module's."""
    users[SUB].attributes["email"] = email
    assert_not_sent(ses, "no_deliverable_address")


# How it fails.


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (error_response("TooManyRequestsException"), CognitoUnavailableError),
        (error_response("InternalErrorException", 500), CognitoUnavailableError),
        (ReadTimeoutError(endpoint_url="https://cognito-idp"), CognitoUnavailableError),
        (error_response("AccessDeniedException"), AccessDeniedError),
        (error_response("ResourceNotFoundException"), CognitoRejectedError),
        (Response({"Username": "ada.l"}), UnusableUserError),
    ],
    ids=["throttled", "500", "timeout", "denied", "no pool", "unusable"],
)
def test_send_welcome_raises_a_failed_read_before_sending(
    ses: FakeAws, answer: Answer, raised: type[Exception]
) -> None:
    ses.on(GET, answer)
    with pytest.raises(raised):
        send()
    assert ses.operations == [GET]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (error_response("TooManyRequestsException", 429), WelcomeNotSentError),
        (error_response("MessageRejected", 400), WelcomeRejectedError),
        (error_response("InternalFailure", 500), WelcomeOutcomeUnknownError),
    ],
    ids=["429", "400", "500"],
)
def test_send_welcome_raises_a_failed_send_after_one_attempt(
    ses: FakeAws, answer: Response, raised: type[Exception]
) -> None:
    ses.on(SEND, answer)
    with pytest.raises(raised):
        send()
    assert ses.operations == [GET, SEND]


def test_ses_client_makes_one_attempt() -> None:
    # botocore would repeat a send that timed out, and that may have gone out.
    config: Any = send_welcome._ses().meta.config
    assert config.retries["total_max_attempts"] == 1


def test_send_welcome_rejects_an_unknown_placeholder(ses: FakeAws, template: Callable[..., None]) -> None:
    template(text="{{custom:color}}")
    with pytest.raises(UnknownPlaceholderError, match="custom:color"):
        send()
    assert SEND not in ses.operations


@pytest.mark.parametrize("bad", [None, {}, {"sub": "ada@example.com"}, an_input(username=""), an_input(reason="")])
def test_bad_input_is_an_invalid_sync_request(ses: FakeAws, bad: Any) -> None:
    with pytest.raises(InvalidEventError):
        send_welcome.handler(bad, FakeContext())
    assert SEND not in ses.operations


@pytest.mark.parametrize("email", ["ada@example.com", "Ada <ada@example.com>"])
def test_no_personal_data_is_logged(
    ses: FakeAws, users: UsersInMemory, caplog: pytest.LogCaptureFixture, email: str
) -> None:
    caplog.set_level(logging.INFO)
    users[SUB].attributes["email"] = email
    send()
    ours = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert [record["sub"] for record in ours] == [SUB]
    assert [value for value in ("Ada", "ada@example.com", "ada.l") if value in repr(ours)] == []
