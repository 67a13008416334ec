"""No unit test reaches AWS: the credentials are invalid, and a request to another machine fails."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.httpsession import URLLib3Session

from cognito_user_sync import clients
from cognito_user_sync.handlers import publish_user_events, retry_sign_ups, send_welcome, start_run, sync_changes
from tests.fakes.fake_aws import FakeAws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest

REGION = "eu-central-1"
LOOPBACK = "127.0.0.1"
OF_NO_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

# It creates a client when it is imported.
with patch.dict(os.environ, OF_NO_ACCOUNT):
    from cognito_user_sync.handlers import post_confirmation

_send = URLLib3Session.send


def _send_on_this_machine(self: URLLib3Session, request: AWSPreparedRequest) -> Any:
    """Fail for a request to another machine. All requests of botocore use this, also to a metadata service or proxy."""
    assert urlsplit(request.url).hostname == LOOPBACK, f"a unit test called {request.url}"
    return _send(self, request)


@pytest.fixture(autouse=True, scope="module")
def _nothing_reaches_aws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        _cut_off(monkeypatch)
        yield


def _cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        **OF_NO_ACCOUNT,
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), LOOPBACK])),
        "no_proxy": ",".join(filter(None, [os.environ.get("no_proxy"), LOOPBACK])),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(URLLib3Session, "send", _send_on_this_machine)


@pytest.fixture(scope="module")
def session(_nothing_reaches_aws: None) -> boto3.Session:
    """The session of boto3.client. One per module, because reading the services' models takes time."""
    return boto3.Session()


@pytest.fixture(autouse=True)
def _each_test_is_a_new_container(monkeypatch: pytest.MonkeyPatch, session: boto3.Session) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    monkeypatch.setattr(post_confirmation, "_SESSION", session._session)
    cached = (publish_user_events, retry_sign_ups, send_welcome, start_run, sync_changes)
    for module in (clients, post_confirmation, *cached):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.fixture
def aws(session: boto3.Session) -> Iterator[FakeAws]:
    """Answers all clients that the test makes, or that the code under test makes with boto3.client."""
    fake = FakeAws(session)
    with fake.answering():
        yield fake
