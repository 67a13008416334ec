"""The account of the acceptance tests: the local AWS, or with --on-aws the one that ACCEPTANCE_ACCOUNT confirms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.client import LocalAws
from tests.acceptance.account import Account, Mailbox
from tests.acceptance.run import HOME, Run
from tests.deployed import RESET_CODE, SIGN_UP_CODE

# Without the mark of personal data, because the plan shows the sender.
EMAIL = "acceptance@example.com"


def pytest_addoption(parser: pytest.Parser) -> None:
    # An option. A variable could be set in a shell that runs `make test`.
    parser.addoption(
        "--on-aws", action="store_true", help="run the acceptance tests in an AWS account, which costs money"
    )


class LocalMailbox:
    """The outbox of the local AWS, whose codes are always the same."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws

    def code(self, purpose: str) -> str | None:
        return {"sign-up": SIGN_UP_CODE, "password reset": RESET_CODE}[purpose]

    def welcome_subjects(self) -> list[str] | None:
        return [mail.subject for mail in self.aws.outbox() if EMAIL in mail.source]


@pytest.fixture(scope="module")
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    if request.config.getoption("--on-aws"):
        yield Account.from_environment()
        return
    aws: LocalAws = request.getfixturevalue("aws")
    aws.client("sesv2").create_email_identity(EmailIdentity=EMAIL)
    aws.client("s3").create_bucket(Bucket="trail")
    aws.client("cloudtrail").create_trail(Name="trail", S3BucketName="trail")
    aws.client("cloudtrail").start_logging(Name="trail")
    mailbox: Mailbox = LocalMailbox(aws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACCEPTANCE_ACCOUNT", aws.client("sts").get_caller_identity()["Account"])
        patch.setenv("ACCEPTANCE_EMAIL", EMAIL)
        yield Account.from_environment(mailbox)


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run that is cleaned up in every case."""
    home: Path = HOME if request.config.getoption("--on-aws") else tmp_path_factory.mktemp("acceptance")
    begun = Run.begin(account, home)
    yield begun
    if begun.folder.exists():
        begun.clean()
