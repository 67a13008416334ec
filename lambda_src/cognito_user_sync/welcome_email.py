"""Renders the welcome email from its templates, and sends it through Amazon SES."""

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

# A username that an application or an identity provider generates: a UUID, with or without hyphens.
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)

# A dot-atom before the @ (https://www.rfc-editor.org/rfc/rfc5322#section-3.2.3), and perhaps a domain after it.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@([^@]+)")
# https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1, whose limit of a path includes < and >.
_MAX_LOCAL_PART, _MAX_ADDRESS = 64, 254

# The message tag of each email. Names and values are ASCII letters, digits, hyphens and underscores:
# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
SUB_TAG = "sub"

# A display name and an address. modules/inputs/variables.tf has the characters that each may contain.
_NAMED = re.compile(r"(.+) <([^<>]+)>")


class UnknownPlaceholderError(Exception):
    """A template has an unknown placeholder. The message is its name."""


class WelcomeNotSentError(Exception):
    """SES did not accept the email, and a retry may succeed."""


class WelcomeRejectedError(Exception):
    """SES rejects the email, and a retry, until an operator fixes the sender, the account or the permission."""


class WelcomeOutcomeUnknownError(Exception):
    """No response from SES arrived: the email may have been sent, and a retry could send it twice.

    So an operator decides: check the SES sending statistics, and redrive the execution if the email was not sent.
    """


@dataclass(frozen=True)
class Email:
    """The content of an email, or its templates."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class WelcomeEmail:
    """The module's variable `welcome_email`, with the content of the templates."""

    sender: str
    subject: str
    text: str
    html: str
    reply_to: str | None
    configuration_set: str | None
    app_client_ids: frozenset[str]
    """Send the email only to users who signed up through these. If empty, to all."""
    verified_only: bool = True
    """Send the email only to addresses that Cognito has verified: others may not belong to the user."""
    region: str | None = None
    """Region of SES. None is the function's region."""
    identity_arn: str | None = None
    """SES identity of the sender, if another account authorizes this one to use it (sending authorization)."""
    translations: Mapping[str, Email] = field(default_factory=dict)
    """Templates by language tag (de, pt-BR)."""

    @classmethod
    def from_json(cls, content: str) -> WelcomeEmail:
        """Return the email in the file that Terraform adds to the function's layer.

        The command line may read the file of an older or newer deployment, with fewer or more settings.
        """
        settings = json.loads(content)
        settings |= {
            "sender": settings["from"],
            "app_client_ids": frozenset(settings["app_client_ids"]),
            "translations": {
                tag: Email(each["subject"], each["text"], each["html"])
                for tag, each in settings.get("translations", {}).items()
            },
        }
        return cls(**{each.name: settings[each.name] for each in fields(cls) if each.name in settings})

    def recipient(self, attributes: Mapping[str, str]) -> str | WhyNot:
        """Return the address of a user with these attributes, or why the user gets no email."""
        address = deliverable_address(attributes.get("email", ""))
        if address is None:
            return WhyNot.NO_DELIVERABLE_ADDRESS
        if self.verified_only and attributes.get("email_verified") != "true":
            return WhyNot.ADDRESS_NOT_VERIFIED
        return address

    def translation(self, locale: str) -> str | None:
        """Return the tag of the translation for a user's attribute `locale`, or None for the default templates.

        For pt_BR.UTF-8 it is pt-BR, or pt if there is no translation for pt-BR.
        """
        tags = {tag.lower(): tag for tag in self.translations}
        wanted = re.split("[.@]", locale.strip().lower().replace("_", "-"))[0]
        while wanted and wanted not in tags:
            wanted = wanted.rpartition("-")[0]
        return tags.get(wanted)

    def render(self, values: Mapping[str, str], locale: str = "") -> Email:
        """Return the email in the language of a user's attribute `locale`.

        {{placeholder}} is replaced with its value, and {{placeholder|fallback}} with the fallback if the value is
        empty. Values are sanitized (`clean_value`), so they cannot add a header, a paragraph or a link. In the HTML
        part they are escaped, too. Placeholders in values are not replaced.

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
        """Send the email to a `deliverable_address`. Returns the message ID of SES.

        Args:
            client: Must make one attempt only.
            address: The recipient.
            email: What `render` returned.
            sub: SES adds it to each event of the email, so that the events identify the user.

        Raises:
            WelcomeNotSentError, AccessDeniedError, WelcomeRejectedError, WelcomeOutcomeUnknownError
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
    """Return the values of placeholders: `display_name`, `username`, `name` and each synced attribute.

    The value of a missing attribute is "".
    """
    values = {name: attributes.get(name, "") for name in ("name", *names)}
    values["username"] = username
    values["display_name"] = _display_name(sub, username, status, attributes)
    return values


def _display_name(sub: str, username: str, status: str, attributes: Mapping[str, str]) -> str:
    """Return a name of the user that the email can show, or "".

    It is the first of name, given_name, preferred_username, username, and the part of the email address before the @.
    A generated username does not count: the username of a federated user is Google_1084... or SignInWithApple_0012...,
    and pools with email addresses or phone numbers as usernames use the sub.
    """
    is_generated = status == EXTERNAL_PROVIDER or username == sub or _UUID.fullmatch(username)
    candidates = (
        attributes.get("name", ""),
        attributes.get("given_name", ""),
        attributes.get("preferred_username", ""),
        "" if is_generated else username,
        attributes.get("email", "").rpartition("@")[0],
    )
    return next((each for each in candidates if clean_value(each).strip()), "")


def deliverable_address(email: str) -> str | None:
    """Return the address in the form that SES accepts, with the domain in ASCII.

    None if it is not one plain address (without a display name, list, route or quotes), or if the mailbox is
    ambiguous: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
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


def header_mailbox(sender: str) -> str:
    """Return a sender in the form that SES accepts: ASCII, the display name quoted or encoded (RFC 2047) if needed.

    Args:
        sender: address, Name <address> or "Name" <address>. A quoted name may have any character, also \\" and \\\\.

    Raises:
        WelcomeRejectedError: SES does not accept the address. A plan rejects it, too.
    """
    match = _NAMED.fullmatch(sender)
    name, typed = match.groups() if match else ("", sender)
    address = deliverable_address(typed)
    if address is None:
        raise WelcomeRejectedError(
            f"{sender!r} is not a valid sender: expected address@example.com or Name <address@example.com>"
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
        return fallback.strip()  # part of the template, so it is not escaped

    return _PLACEHOLDER.sub(value, template)
