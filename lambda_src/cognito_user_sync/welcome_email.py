"""The welcome email: rendering its templates and sending it through Amazon SES."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from email.header import Header
from email.utils import formataddr
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
)

from cognito_user_sync import domain_names
from cognito_user_sync.aws_errors import raise_if_denied
from cognito_user_sync.email_values import clean_value, one_line
from cognito_user_sync.user import EXTERNAL_PROVIDER
from cognito_user_sync.welcome_outcome import WhyNot

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

# {{name}} or {{name|fallback}}. welcome_email.tf has the same pattern: an unknown placeholder fails the plan.
_PLACEHOLDER = re.compile(r"{{\s*([^{}|\s]+)\s*(?:\|([^{}]*))?}}")

# What an application or an identity provider makes for a user: a UUID, with or without hyphens.
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)

# A dot-atom before the @ (https://www.rfc-editor.org/rfc/rfc5322#section-3.2.3), and what may be a domain behind it.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@([^@]+)")
# https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1, where a path has < and >.
_MAX_LOCAL_PART, _MAX_ADDRESS = 64, 254

# The message tag of each email. Names and values are ASCII letters, digits, hyphens and underscores:
# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
SUB_TAG = "sub"

# A display name, and an address. variables.tf has the characters that each may have.
_NAMED = re.compile(r"(.+) <([^<>]+)>")


class UnknownPlaceholderError(Exception):
    """A template names a placeholder that has no value; the message is its name."""


class WelcomeNotSentError(Exception):
    """SES did not take the mail now, and says so: worth a retry."""


class WelcomeRejectedError(Exception):
    """SES refuses the mail, and will again until somebody mends the sender, the account or the permission."""


class WelcomeOutcomeUnknownError(Exception):
    """The answer of SES did not arrive: the mail may be on its way. Sending again could greet twice, so it is left
    to a person: look in the SES sending statistics, then redrive the execution or leave it."""


@dataclass(frozen=True)
class Email:
    """What an email says, or the templates of it."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class WelcomeEmail:
    """The module's variable `welcome_email`, with the templates' content."""

    sender: str
    subject: str
    text: str
    html: str
    reply_to: str | None
    configuration_set: str | None
    app_client_ids: frozenset[str]
    """Greet only who signed up through these; everyone, if there are none."""
    verified_only: bool = True
    """Greet only whose address Cognito has verified: only then is it known to be theirs."""
    region: str | None = None
    """Region of SES; None for the function's own."""
    identity_arn: str | None = None
    """The sender's SES identity, if its owner lets this account send (sending authorization)."""
    translations: Mapping[str, Email] = field(default_factory=dict)
    """Templates by language tag (de, pt-BR)."""

    @classmethod
    def from_json(cls, content: str) -> WelcomeEmail:
        """Read the file that Terraform puts into the function's layer.

        The command line may read the file of an older deployment, without a newer setting, or of a newer one.
        """
        given = json.loads(content)
        given |= {
            "sender": given["from"],
            "app_client_ids": frozenset(given["app_client_ids"]),
            "translations": {
                tag: Email(each["subject"], each["text"], each["html"])
                for tag, each in given.get("translations", {}).items()
            },
        }
        return cls(**{each.name: given[each.name] for each in fields(cls) if each.name in given})

    def recipient(self, attributes: Mapping[str, str]) -> str | WhyNot:
        """Return the address of a user with these attributes, or why the user gets no email."""
        address = deliverable_address(attributes.get("email", ""))
        if address is None:
            return WhyNot.NO_DELIVERABLE_ADDRESS
        if self.verified_only and attributes.get("email_verified") != "true":
            return WhyNot.ADDRESS_NOT_VERIFIED
        return address

    def translation(self, locale: str) -> str | None:
        """Return the tag of the translation for a user's attribute `locale`; None for the default templates.

        pt_BR.UTF-8 is pt-BR. Without a translation for it, the language alone counts: pt.
        """
        tags = {tag.lower(): tag for tag in self.translations}
        wanted = re.split("[.@]", locale.strip().lower().replace("_", "-"))[0]
        while wanted and wanted not in tags:
            wanted = wanted.rpartition("-")[0]
        return tags.get(wanted)

    def render(self, values: Mapping[str, str], locale: str = "") -> Email:
        """Return the email in the language of `locale`, a user's attribute.

        Each {{placeholder}} is replaced by its value, {{placeholder|fallback}} by the fallback if the value is empty.
        A value is cleaned (`clean_value`): it is one short line, so that none can begin a header or forge a paragraph,
        and no link. In the HTML part it is escaped besides. A value is never read as a template.
        Raises UnknownPlaceholderError.
        """
        tag = self.translation(locale)
        template = self if tag is None else self.translations[tag]
        return Email(
            subject=one_line(_fill(template.subject, values, str)),
            text=_fill(template.text, values, str),
            html=_fill(template.html, values, html.escape),
        )

    def send(self, client: SESV2Client, address: str, email: Email, sub: str) -> str:
        """Send to one `deliverable_address`; returns the message id of SES.

        `client` must make one attempt only. SES repeats `sub` in each event of the email, so that the events tell who
        got one. Raises WelcomeNotSentError, AccessDeniedError, WelcomeRejectedError or WelcomeOutcomeUnknownError.
        """
        subject, text, html = ({"Data": part, "Charset": "UTF-8"} for part in (email.subject, email.text, email.html))
        request: Any = {
            "FromEmailAddress": header_mailbox(self.sender),
            "Destination": {"ToAddresses": [address]},
            "Content": {"Simple": {"Subject": subject, "Body": {"Text": text, "Html": html}}},
            "EmailTags": [{"Name": SUB_TAG, "Value": sub}],
        }
        if self.reply_to:
            request["ReplyToAddresses"] = [header_mailbox(self.reply_to)]
        if self.identity_arn:
            request["FromEmailAddressIdentityArn"] = self.identity_arn
        if self.configuration_set:
            request["ConfigurationSetName"] = self.configuration_set
        try:
            return client.send_email(**request)["MessageId"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 429:
                raise WelcomeNotSentError(code) from error
            raise_if_denied(error)
            if status < 500:
                raise WelcomeRejectedError(code) from error
            raise WelcomeOutcomeUnknownError(code) from error
        except (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError) as error:
            raise WelcomeNotSentError(type(error).__name__) from error
        except BotoCoreError as error:
            raise WelcomeOutcomeUnknownError(type(error).__name__) from error


def placeholder_values(
    sub: str, username: str, status: str, attributes: Mapping[str, str], names: tuple[str, ...]
) -> dict[str, str]:
    """Return what the templates may name: `display_name`, `username`, `name` and each synced attribute.

    A value that the user does not have is "".
    """
    values = {name: attributes.get(name, "") for name in ("name", *names)}
    values["username"] = username
    values["display_name"] = _display_name(sub, username, status, attributes)
    return values


def _display_name(sub: str, username: str, status: str, attributes: Mapping[str, str]) -> str:
    """Return the first of these that the email can show: name, given_name, preferred_username, the username if the user
    chose it, the part of the email address before the @. "" if there is none.

    A federated user's username is Google_1084... or SignInWithApple_0012..., and a pool with email addresses or phone
    numbers as usernames makes the sub the username.
    """
    is_technical = status == EXTERNAL_PROVIDER or username == sub or _UUID.fullmatch(username)
    candidates = (
        attributes.get("name", ""),
        attributes.get("given_name", ""),
        attributes.get("preferred_username", ""),
        "" if is_technical else username,
        attributes.get("email", "").rpartition("@")[0],
    )
    return next((each for each in candidates if clean_value(each).strip()), "")


def deliverable_address(email: str) -> str | None:
    """Return the address as SES takes it, an international domain in its ASCII form.

    None if it is not exactly one plain address (no display name, list, route or quotes), or if it is not certain which
    mailbox was meant: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
    """
    match = _ADDRESS.fullmatch(email)
    if match is None:
        return None
    local_part, typed = match.groups()
    domain = domain_names.to_ascii(typed)
    if domain is None or len(local_part) > _MAX_LOCAL_PART:
        return None
    address = f"{local_part}@{domain}"
    return address if len(address) <= _MAX_ADDRESS else None


def header_mailbox(given: str) -> str:
    """Return a sender as SES takes it: in ASCII, the display name quoted or encoded (RFC 2047) where it has to be.

    Args:
        given: address, Name <address> or "Name" <address>. A quoted name may have any character, \\" and \\\\ too.

    Raises:
        WelcomeRejectedError: The address is not one that SES takes. A plan rejects it, too.
    """
    match = _NAMED.fullmatch(given)
    name, typed = match.groups() if match else ("", given)
    address = deliverable_address(typed)
    if address is None:
        raise WelcomeRejectedError(
            f"{given!r} is not a sender: expected address@example.com or Name <address@example.com>"
        )
    if name.startswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    name = " ".join(name.split())
    if name.isascii():
        return formataddr((name, address))
    # Not formataddr, whose encoded word can be longer than the 75 characters of RFC 2047.
    return f"{Header(name, 'utf-8').encode(maxlinelen=75, linesep='')} <{address}>"


def _fill(template: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, fallback = match.groups()
        if name not in values:
            raise UnknownPlaceholderError(name)
        shown = clean_value(values[name])
        if fallback is None or shown.strip():
            return escape(shown)
        return fallback.strip()  # a part of the template, which is not escaped

    return _PLACEHOLDER.sub(value, template)
