"""Somebody else's user pool on the laptop AWS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_aws.client import LocalAws
from tests.deployed import Pool, make_pool


@pytest.fixture(scope="session", autouse=True)
def pool(aws: LocalAws) -> Iterator[Pool]:
    """Autouse, so that Terraform, which knows nothing of fixtures, finds its id in the environment."""
    made = make_pool(aws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_VAR_user_pool_id", made.id)
        yield made
