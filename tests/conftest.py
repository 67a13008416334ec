"""What the tests of the deployed module share: one laptop AWS a process, since its environment can name only one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from local_aws.client import LocalAws
from tests.deployed import CANARY, assert_logs_are_impersonal, assert_roles_did_what_is_documented, laptop_aws


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with laptop_aws() as started:
        started.scale_waits(0.002)
        yield started
        assert_roles_did_what_is_documented(started)
        assert_logs_are_impersonal(started)


@pytest.fixture
def username() -> str:
    """A name that no other test has."""
    return f"{CANARY}-{uuid.uuid4().hex[:12]}"
