"""Who is greeted, with what, and how often: once."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from cognito_user_sync.handlers import send_welcome
from cognito_user_sync.settings import MissingSetting
from cognito_user_sync.sync_request import InvalidSyncRequest
from cognito_user_sync.welcome_email import UnknownPlaceholder, WelcomeNotSent, WelcomeOutcomeUnknown, WelcomeRefused
from tests.samples import SUB
from tests.stand_ins.answers import Response, refusal
from tests.stand_ins.carriers import FakeAws
from tests.stand_ins.clock import FakeContext

if TYPE_CHECKING:
    from collections.abc import Callable

SEND = "sesv2.SendEmail"
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
    return {
        "sub": SUB,
        "reason": "sign_up",
        "occurred_at": "2026-01-01T00:00:00.000Z",
        "username": "ada.l",
        "client_id": "app1",
        "attributes": {"name": "Ada", "email": "ada@example.com"},
        **changes,
    }


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    monkeypatch.setenv("ATTRIBUTES", '["name","email","custom:plan"]')
    file = tmp_path / "welcome_email.json"
    monkeypatch.syspath_prepend(tmp_path)

    def write(**changes: Any) -> None:
        file.write_text(json.dumps({**TEMPLATE, **changes}), encoding="utf-8")

    write()
    return write


@pytest.fixture
def ses(aws: FakeAws, template: Callable[..., None]) -> FakeAws:
    aws.on(SEND, Response({"MessageId": "m1"}))
    return aws


def test_missing_layer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(MissingSetting, match="layer .* welcome_email.json"):
        send_welcome.handler(an_input(), FakeContext())


def test_a_user_with_an_address_is_greeted(ses: FakeAws) -> None:
    assert send_welcome.handler(an_input(), FakeContext()) == {"sent": True, "message_id": "m1"}
    [call] = ses.calls
    assert call.body["Destination"] == {"ToAddresses": ["ada@example.com"]}
    content = call.body["Content"]["Simple"]
    assert content["Subject"]["Data"] == "Welcome, ada.l"
    assert content["Body"]["Text"]["Data"] == "Hello Ada: "
    assert content["Body"]["Html"]["Data"] == "<p>Hello Ada</p>"


@pytest.mark.parametrize(
    ("settings", "region"), [({"region": "eu-central-1"}, "eu-central-1"), ({"region": None}, None)]
)
def test_welcome_is_sent_by_ses_of_its_region(
    ses: FakeAws, template: Callable[..., None], settings: dict[str, Any], region: str | None
) -> None:
    """By default of the function's own region."""
    template(**settings)
    with patch.object(ses.session, "client", wraps=ses.session.client) as client:
        send_welcome.handler(an_input(), FakeContext())
    assert client.call_args.kwargs["region_name"] == region


def test_an_international_domain_is_sent_to_in_ascii(ses: FakeAws) -> None:
    send_welcome.handler(an_input(attributes={"email": "ada@münchen.de"}), FakeContext())
    assert ses.calls[0].body["Destination"] == {"ToAddresses": ["ada@xn--mnchen-3ya.de"]}


@pytest.mark.parametrize(
    "attributes",
    [{}, {"email": ""}, {"email": "ada@example.com,eve@example.com"}, {"email": "ada@example.com\r\nBcc: eve@x.org"}],
    ids=["none", "empty", "list", "header"],
)
def test_a_user_without_one_plain_address_is_not_greeted_and_that_is_no_failure(
    ses: FakeAws, attributes: dict[str, str]
) -> None:
    answer = send_welcome.handler(an_input(attributes=attributes), FakeContext())
    assert answer == {"sent": False, "reason": "no deliverable email address"}
    assert ses.calls == []


@pytest.mark.parametrize(
    ("client_id", "greeted"), [("app1", True), ("app2", True), ("app3", False), ("", False)], ids=str
)
def test_only_who_signed_up_through_a_named_app_client_is_greeted(
    ses: FakeAws, template: Callable[..., None], client_id: str, greeted: bool
) -> None:
    template(app_client_ids=["app1", "app2"])
    answer = send_welcome.handler(an_input(client_id=client_id), FakeContext())
    assert answer["sent"] is greeted
    assert ses.operations == [SEND] * greeted


def test_without_named_app_clients_everyone_is_greeted(ses: FakeAws) -> None:
    event = an_input()
    del event["client_id"]
    assert send_welcome.handler(event, FakeContext())["sent"] is True


@pytest.mark.parametrize(
    ("verified", "greeted"),
    [({"email_verified": "true"}, True), ({"email_verified": "false"}, False), ({}, False)],
    ids=["verified", "not verified", "nobody knows"],
)
def test_with_verified_only_nobody_is_greeted_at_an_address_that_may_be_anothers(
    ses: FakeAws, template: Callable[..., None], verified: dict[str, str], greeted: bool
) -> None:
    template(verified_only=True)
    attributes = {"name": "Ada", "email": "ada@example.com", **verified}
    answer = send_welcome.handler(an_input(attributes=attributes), FakeContext())
    assert answer["sent"] is greeted
    assert answer.get("reason") == (None if greeted else "the email address is not verified")
    assert ses.operations == [SEND] * greeted


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (refusal("TooManyRequestsException", 429), WelcomeNotSent),
        (refusal("MessageRejected", 400), WelcomeRefused),
        (refusal("InternalFailure", 500), WelcomeOutcomeUnknown),
    ],
    ids=["429", "400", "500"],
)
def test_a_failure_reaches_the_state_machine_after_one_attempt(
    aws: FakeAws, template: Callable[..., None], answer: Response, raised: type[Exception]
) -> None:
    aws.on(SEND, answer)
    with pytest.raises(raised):
        send_welcome.handler(an_input(), FakeContext())
    assert aws.operations == [SEND]


def test_the_ses_client_makes_one_attempt() -> None:
    # botocore would repeat a send that timed out, and that may have gone out.
    config: Any = send_welcome._ses().meta.config
    assert config.retries["total_max_attempts"] == 1


def test_a_template_that_names_what_is_not_synced_fails_before_anything_is_sent(
    ses: FakeAws, template: Callable[..., None]
) -> None:
    template(text="{{custom:color}}")
    with pytest.raises(UnknownPlaceholder, match="custom:color"):
        send_welcome.handler(an_input(), FakeContext())
    assert ses.calls == []


def test_bad_input_is_an_invalid_sync_request(ses: FakeAws) -> None:
    with pytest.raises(InvalidSyncRequest):
        send_welcome.handler({"sub": "ada@example.com"}, FakeContext())
    assert ses.calls == []


@pytest.mark.parametrize("email", ["ada@example.com", "Ada <ada@example.com>"])
def test_no_personal_data_is_logged(ses: FakeAws, caplog: pytest.LogCaptureFixture, email: str) -> None:
    caplog.set_level(logging.INFO)
    send_welcome.handler(an_input(attributes={"name": "Ada", "email": email}), FakeContext())
    ours = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert [record["sub"] for record in ours] == [SUB]
    assert [value for value in ("Ada", "ada@example.com", "ada.l") if value in repr(ours)] == []
