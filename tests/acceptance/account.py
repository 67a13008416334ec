"""The AWS account of the acceptance tests, and the mailbox that receives their emails.

`make acceptance` takes the account from the environment, after ACCEPTANCE_ACCOUNT has confirmed it. In CI the account
is the local AWS.
"""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.deployed import eventually

Answer = TypeVar("Answer")

# Of AWS's endpoints, in all partitions that have Cognito.
AWS_DOMAINS = re.compile(r"\.(amazonaws\.com(\.cn)?|amazonaws\.eu|api\.aws)$")

ACCOUNT = "ACCEPTANCE_ACCOUNT: ID of the AWS account in which the tests may create and delete resources"
EMAIL = "ACCEPTANCE_EMAIL: an address that is verified in SES in this region; the tests send from it, and to it"
REGION = "AWS_REGION, or a region in the profile"
CREDENTIALS = "AWS credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class AccountError(Exception):
    """The environment does not name an account in which the acceptance tests can run."""


class Mailbox(Protocol):
    """The mailbox of ACCEPTANCE_EMAIL."""

    def code(self, purpose: str) -> str | None:
        """Return the code that Cognito mailed for this purpose, or None if it cannot be read."""

    def welcome_subjects(self) -> list[str] | None:
        """Return the subjects of all welcome emails, or None if they cannot be read."""


class OperatorsMailbox:
    """A mailbox that only the operator can read. The operator types the codes."""

    def code(self, purpose: str, seconds: float = 180) -> str | None:
        """Ask for a code if there is a terminal. Returns None for an empty line, and after `seconds`."""
        if not sys.stdin.isatty():
            return None
        print(
            f"\nType the code from Cognito's mail ({purpose}), or press Enter to continue without it: ",
            end="",
            flush=True,
        )
        answered, _, _ = select.select([sys.stdin], [], [], seconds)
        return (sys.stdin.readline().strip() or None) if answered else None

    def welcome_subjects(self) -> list[str] | None:
        return None


@dataclass(frozen=True)
class Account:
    """An account and region with permission to create and delete resources."""

    id: str
    region: str
    email: str
    session: Any = field(repr=False)
    mailbox: Mailbox = field(default_factory=OperatorsMailbox, repr=False)
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_environment(cls, mailbox: Mailbox | None = None, sends_mail: bool = True) -> Account:
        """Return the account of the environment's credentials.

        Args:
            mailbox: The mailbox of ACCEPTANCE_EMAIL. None means that only the operator can read it.
            sends_mail: False to delete only, for which ACCEPTANCE_EMAIL is not required.

        Raises:
            AccountError: A setting is missing, or ACCEPTANCE_ACCOUNT does not confirm the account.
        """
        confirmed, email = (os.environ.get(name, "") for name in ("ACCEPTANCE_ACCOUNT", "ACCEPTANCE_EMAIL"))
        session = boto3.session.Session()
        needed: dict[str, object] = {ACCOUNT: confirmed}
        if sends_mail:
            needed[EMAIL] = email
        needed |= {REGION: session.region_name, CREDENTIALS: _credentials(session)}
        if missing := [what for what, value in needed.items() if not value]:
            raise AccountError("The acceptance tests run in an AWS account. Set these:\n- " + "\n- ".join(missing))
        account = cls(_account_of(session), session.region_name, email, session, mailbox or OperatorsMailbox())
        if account.id != confirmed:
            raise AccountError(
                f"ACCEPTANCE_ACCOUNT is {confirmed}, but the credentials are of account {account.id}. "
                "Set ACCEPTANCE_ACCOUNT to the account in which the tests may create and delete resources."
            )
        if sends_mail:
            account.require_verified_email()
        return account

    @property
    def is_aws(self) -> bool:
        """False if requests go to another endpoint than AWS's, for example because of AWS_ENDPOINT_URL."""
        hosts = (urlsplit(self.client(service).meta.endpoint_url).hostname for service in ("sts", "cognito-idp"))
        return all(AWS_DOMAINS.search(host or "") for host in hosts)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.session.client(service, region_name=self.region)
        return self._clients[service]

    def eventually(self, question: Callable[[], Answer | None], seconds: float = 180) -> Answer:
        """Return the first true answer. AWS is called less often than the local AWS, because it throttles."""
        return eventually(question, seconds, pause=3 if self.is_aws else 0.2)

    def require_verified_email(self) -> None:
        """Raise AccountError if SES cannot send from the address or its domain in this region."""
        ses = self.client("sesv2")
        identities = (self.email, self.email.rpartition("@")[2])
        for identity in identities:
            try:
                if ses.get_email_identity(EmailIdentity=identity)["VerifiedForSendingStatus"]:
                    return
            except ses.exceptions.NotFoundException:
                continue
            except (ClientError, BotoCoreError) as error:
                raise AccountError(f"SES in {self.region} does not answer: {error}") from error
        raise AccountError(
            f"ACCEPTANCE_EMAIL is {self.email}: neither the address nor its domain is a verified identity of SES in "
            f"{self.region}. Verify one: https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html"
        )

    def logs_management_events(self) -> bool:
        """Return whether a trail logs the management events of this region."""
        cloudtrail = self.client("cloudtrail")
        for trail in cloudtrail.describe_trails(includeShadowTrails=True)["trailList"]:
            if trail.get("IsMultiRegionTrail") or trail.get("HomeRegion") == self.region:
                try:
                    is_logging = cloudtrail.get_trail_status(Name=trail["TrailARN"])["IsLogging"]
                    selectors = cloudtrail.get_event_selectors(TrailName=trail["TrailARN"])
                except ClientError:  # an organization's trail, which this account may not describe
                    continue
                if is_logging and _selects_management_events(selectors):
                    return True
        return False


def _credentials(session: Any) -> object:
    try:
        return session.get_credentials()
    except BotoCoreError:  # for example a profile without its source profile
        return None


def _account_of(session: Any) -> str:
    try:
        return str(session.client("sts").get_caller_identity()["Account"])
    except (ClientError, BotoCoreError) as error:
        raise AccountError(f"AWS does not accept the credentials: {error}") from error


def _selects_management_events(selectors: dict[str, Any]) -> bool:
    """Return whether selectors of a trail include calls that write.

    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetEventSelectors.html
    """
    basic = any(
        selector.get("IncludeManagementEvents") and selector.get("ReadWriteType", "All") in ("All", "WriteOnly")
        for selector in selectors.get("EventSelectors", [])
    )
    advanced = [
        {field["Field"]: field.get("Equals", []) for field in selector["FieldSelectors"]}
        for selector in selectors.get("AdvancedEventSelectors", [])
    ]
    return basic or any(
        fields.get("eventCategory") == ["Management"] and fields.get("readOnly") != ["true"] for fields in advanced
    )
