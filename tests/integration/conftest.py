"""The laptop AWS, and somebody else's user pool on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from local_aws.client import LocalAws
from tests.deployed import Pool, laptop_aws, make_pool


@pytest.fixture(scope="session", autouse=True)
def aws() -> Iterator[LocalAws]:
    with laptop_aws() as started:
        started.scale_waits(0.05)
        yield started


@pytest.fixture(scope="session", autouse=True)
def pool(aws: LocalAws) -> Iterator[Pool]:
    """Autouse, so that Terraform, which knows nothing of fixtures, finds its id in the environment."""
    made = make_pool(aws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_VAR_user_pool_id", made.id)
        yield made


@pytest.fixture
def username() -> str:
    """A name that no other test has."""
    return f"user-{uuid.uuid4().hex[:12]}"
