"""A value is data, whatever it holds; and a mail is sent again only when it certainly was not sent."""

from __future__ import annotations

import asyncio
import dataclasses
import html
import json
import re
import smtplib
from email import policy
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from cognito_user_sync.welcome_email import (
    Email,
    UnknownPlaceholderError,
    WelcomeEmail,
    WelcomeNotSentError,
    WelcomeOutcomeUnknownError,
    WelcomeRejectedError,
    deliverable_address,
    header_mailbox,
    placeholder_values,
)
from tests.fakes.answers import Response, error_response
from tests.fakes.fake_aws import FakeAws
from tests.samples import SENDERS, SUB

SEND = "sesv2.SendEmail"

WELCOME = WelcomeEmail(
    sender="Shop <hello@example.com>",
    subject="Welcome, {{name}}",
    text="Hello {{name}},\nyour address is {{email}}.",
    html='<p title="{{name}}">Hello {{name}}</p>',
    reply_to=None,
    configuration_set=None,
    app_client_ids=frozenset(),
)
MAIL = Email(subject="Welcome", text="Hello", html="<p>Hello</p>")


def render(name: str, email: str = "ada@example.com") -> Email:
    return WELCOME.render({"name": name, "email": email})


def test_render_fills_the_placeholders_of_each_part() -> None:
    assert render("Ada") == Email(
        subject="Welcome, Ada",
        text="Hello Ada,\nyour address is ada@example.com.",
        html='<p title="Ada">Hello Ada</p>',
    )


def test_spaces_inside_the_braces_do_not_matter() -> None:
    template = dataclasses.replace(WELCOME, text="{{  name}} {{name  }} {{ custom:plan }}", html="", subject="")
    assert template.render({"name": "Ada", "custom:plan": "gold"}).text == "Ada Ada gold"


def test_values_are_escaped_in_the_html_part_alone() -> None:
    name = """<script>"O'Hara" & sons</script>"""
    mail = render(name)
    assert mail.subject == f"Welcome, {name}"
    assert mail.text.startswith(f"Hello {name},")
    escaped = "&lt;script&gt;&quot;O&#x27;Hara&quot; &amp; sons&lt;/script&gt;"
    assert mail.html == f'<p title="{escaped}">Hello {escaped}</p>'


@pytest.mark.parametrize("name", ["{{email}}", "{{ unknown }}", "{{name}}", r"\1 \g<0>", "{{", "}}"])
def test_render_does_not_fill_placeholders_in_values(name: str) -> None:
    mail = render(name)
    assert mail.subject == f"Welcome, {name}"
    assert mail.text == f"Hello {name},\nyour address is ada@example.com."
    assert html.unescape(mail.html) == f'<p title="{name}">Hello {name}</p>'


@pytest.mark.parametrize(
    "control", ["\r\n", "\n", "\r", "\0", "\t", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"], ids=ascii
)
def test_render_replaces_control_characters_with_spaces(control: str) -> None:
    mail = render(f"Ada{control}Bcc: eve@example.com")
    one_line = f"Ada{' ' * len(control)}Bcc: eve@example.com"
    assert mail.subject == f"Welcome, {one_line}"
    assert mail.text == f"Hello {one_line},\nyour address is ada@example.com."
    assert mail.html == f'<p title="{one_line}">Hello {one_line}</p>'


def test_render_returns_a_subject_of_one_line() -> None:
    # Terraform heredocs end with a line break.
    template = dataclasses.replace(WELCOME, subject="Welcome,\n{{name}}\n")
    assert template.render({"name": "Ada", "email": ""}).subject == "Welcome, Ada "


def test_render_keeps_other_scripts() -> None:
    assert render("Zoë 李 😀 عمر").subject == "Welcome, Zoë 李 😀 عمر"


def test_values_are_cleaned_in_every_part() -> None:
    mail = render("Your prize: https://evil.example/x", email="x" * 101)
    assert mail == Email("Welcome, ", f"Hello ,\nyour address is {'x' * 100}.", '<p title="">Hello </p>')


@given(st.text(max_size=50))
def test_render_adds_no_line_or_tag_for_any_value(name: str) -> None:
    mail = render(name)
    assert len(mail.subject.splitlines()) == 1
    assert len(mail.text.splitlines()) == 2
    assert mail.html.count("<") == 2
    assert mail.html.count('"') == 2


@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_render_raises_unknown_placeholder_error(part: str) -> None:
    template = dataclasses.replace(WELCOME, **cast("Any", {part: "{{custom:plan}}"}))
    with pytest.raises(UnknownPlaceholderError) as raised:
        template.render({"name": "Ada", "email": ""})
    assert str(raised.value) == "custom:plan"


def test_from_json_reads_all_settings_of_terraforms_file() -> None:
    content = {
        "from": "hello@example.com",
        "subject": "s",
        "text": "t",
        "html": "h",
        "reply_to": "help@example.com",
        "configuration_set": "set",
        "app_client_ids": ["app1", "app2"],
        "verified_only": False,
        "translations": {"de": {"subject": "S", "text": "T", "html": "H"}},
    }
    assert WelcomeEmail.from_json(json.dumps(content)) == WelcomeEmail(
        sender="hello@example.com",
        subject="s",
        text="t",
        html="h",
        reply_to="help@example.com",
        configuration_set="set",
        app_client_ids=frozenset({"app1", "app2"}),
        verified_only=False,
        translations={"de": Email("S", "T", "H")},
    )


def test_only_verified_addresses_get_the_email_by_default() -> None:
    assert WELCOME.verified_only


@pytest.mark.parametrize("part", ["text", "html"])
def test_default_templates_use_only_values_of_every_user(part: str) -> None:
    suffix = {"text": "txt", "html": "html"}[part]
    [file] = (Path(__file__).parents[2] / "emails").glob(f"*.{suffix}")
    template = dataclasses.replace(WELCOME, **cast("Any", {part: file.read_text(encoding="utf-8")}))
    values = placeholder_values(SUB, "ada-of-the-test", "CONFIRMED", {"name": "ada-of-the-test"}, ("email",))
    assert "ada-of-the-test" in getattr(template.render(values), part)


# In which language.

TRANSLATED = dataclasses.replace(
    WELCOME,
    translations={
        tag: Email(f"{tag} {{{{name|?}}}}", f"{tag} {{{{name}}}}", f"<p>{tag} {{{{name}}}}</p>")
        for tag in ("de", "pt-BR", "zh-Hant", "zh")
    },
)


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de_DE", "de"),
        ("de_DE.UTF-8", "de"),
        ("de_DE@euro", "de"),
        (" de ", "de"),
        ("pt-BR", "pt-BR"),
        ("pt_br", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-Hans-CN", "zh"),
        ("pt", None),
        ("pt-PT", None),
        ("den", None),
        ("d", None),
        ("en", None),
        ("", None),
        ("-", None),
        ("-de", None),
        ("\n", None),
        ("Deutsch", None),
    ],
)
def test_translation_is_exact_then_of_the_language_then_the_default(locale: str, expected: str | None) -> None:
    assert TRANSLATED.translation(locale) == expected
    subject = TRANSLATED.render({"name": "Ada", "email": ""}, locale).subject
    assert subject == (f"{expected} Ada" if expected else "Welcome, Ada")


def test_render_fills_each_part_of_a_translation() -> None:
    expected = Email("de ?", "de ", "<p>de </p>")
    assert TRANSLATED.render({"name": "", "email": ""}, "de") == expected
    assert TRANSLATED.render({"name": "<b>", "email": ""}, "de").html == "<p>de &lt;b&gt;</p>"


# What templates may name.


def test_placeholder_values_has_every_synced_attribute() -> None:
    values = placeholder_values(SUB, "ada.l", "CONFIRMED", {"email": "ada@example.com"}, ("email", "custom:plan"))
    assert values == {
        "display_name": "ada.l",
        "username": "ada.l",
        "name": "",
        "email": "ada@example.com",
        "custom:plan": "",
    }


FEDERATED, UUID = "EXTERNAL_PROVIDER", "3C0A6B54-7d2e-4f0a-9b1c-8e5d4c3b2a19"
NAMED = {
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "preferred_username": "countess",
    "email": "ada+shop@example.com",
}


def named(*attributes: str) -> dict[str, str]:
    return {attribute: NAMED[attribute] for attribute in attributes}


@pytest.mark.parametrize(
    ("username", "status", "attributes", "expected"),
    [
        # In this order.
        ("ada.l", "CONFIRMED", NAMED, "Ada Lovelace"),
        ("ada.l", "CONFIRMED", named("given_name", "preferred_username", "email"), "Ada"),
        ("ada.l", "CONFIRMED", named("preferred_username", "email"), "countess"),
        ("ada.l", "CONFIRMED", named("email"), "ada.l"),
        (SUB, "CONFIRMED", named("email"), "ada+shop"),
        # Technical usernames.
        ("Google_108412345678901234567", FEDERATED, named("email"), "ada+shop"),
        ("SignInWithApple_001234.0123456789abcdef.0123", FEDERATED, named("email"), "ada+shop"),
        ("Google_108412345678901234567", FEDERATED, NAMED, "Ada Lovelace"),
        ("ada.l", FEDERATED, named("email"), "ada+shop"),
        ("3c0a6b54-7d2e-4f0a-9b1c-8e5d4c3b2a19", "CONFIRMED", named("email"), "ada+shop"),
        (UUID, "CONFIRMED", named("email"), "ada+shop"),
        (UUID.replace("-", ""), "CONFIRMED", named("email"), "ada+shop"),
        # Names of people.
        ("Google_ada", "CONFIRMED", named("email"), "Google_ada"),
        ("deadbeef", "CONFIRMED", named("email"), "deadbeef"),
        (f"ada-{UUID}", "CONFIRMED", named("email"), f"ada-{UUID}"),
        # What the email would not show is no name.
        ("ada.l", "CONFIRMED", {"name": " \u200b\n", "given_name": "", "email": "a@b.co"}, "ada.l"),
        ("ada.l", "CONFIRMED", {"name": "Free gift: https://evil.example/x"}, "ada.l"),
        ("www.evil.example", "CONFIRMED", named("email"), "ada+shop"),
        # Nothing is left.
        (SUB, "CONFIRMED", {"phone_number": "+4915112345678"}, ""),
        (SUB, "CONFIRMED", {"email": "ada"}, ""),
    ],
)
def test_display_name_is_what_a_person_would_recognize(
    username: str, status: str, attributes: dict[str, str], expected: str
) -> None:
    values = placeholder_values(SUB, username, status, attributes, ())
    assert values["display_name"] == expected
    assert values["username"] == username


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("{{name|there}}", "", "there"),
        ("{{name|there}}", "Ada", "Ada"),
        ("{{ name | dear customer }}", "", "dear customer"),
        ("{{name|}}", "", ""),
        ("{{name|a|b}}", "", "a|b"),
        ("{{name|there}}", "\u200b\n", "there"),
        ("{{name|there}}", "https://evil.example/x", "there"),
        ("{{name|there}}", "{{email|x}}", "{{email|x}}"),
        ("{{name|<b>&amp;</b>}}", "", "<b>&amp;</b>"),
    ],
)
def test_fallback_takes_the_place_of_an_empty_value(template: str, name: str, expected: str) -> None:
    welcome = dataclasses.replace(WELCOME, subject=template, text=template, html=template)
    assert welcome.render({"name": name}) == Email(expected, expected, expected)


def test_unknown_placeholder_is_named_despite_its_fallback() -> None:
    with pytest.raises(UnknownPlaceholderError, match="^nickname$"):
        dataclasses.replace(WELCOME, text="{{nickname|there}}").render({"name": "Ada", "email": ""})


# Where it may go.


@pytest.mark.parametrize(
    "email",
    ["ada@example.com", "a@b.co", "o'hara+shop/x=1@sub.example.co.uk", "a" * 64 + "@example.com", "ADA@Example.COM"],
)
def test_deliverable_address_keeps_a_plain_address(email: str) -> None:
    assert deliverable_address(email) == email


@pytest.mark.parametrize(
    ("email", "deliverable"),
    [
        ("ada@münchen.de", "ada@xn--mnchen-3ya.de"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("ada@MÜNCHEN.de", "ada@xn--mnchen-3ya.de"),
        # Punycode is kept.
        ("info@xn--fa-hia.de", "info@xn--fa-hia.de"),
    ],
)
def test_deliverable_address_converts_an_international_domain(email: str, deliverable: str) -> None:
    assert deliverable_address(email) == deliverable


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@example.com,eve@example.com",
        "ada@example.com;eve@example.com",
        "ada@example.com eve@example.com",
        "Ada <ada@example.com>",
        "<ada@example.com>",
        '"ada"@example.com',
        "ada@[127.0.0.1]",
        "friends:ada@example.com",
        "ada(x)@example.com",
        "a da@example.com",
        " ada@example.com",
        "ada@example.com\n",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada\0@example.com",
        "ada\x7f@example.com",
        "ada@example.com\u2028",
        "ada@ex..ample",
        "ada@.example.com",
        "ada@example.com.",
        "a@localhost",
        "a@127.0.0.1",
        "a@-x.example",
        "a@x-.example",
        "a@x_y.example",
        "a@x!.example",
        "a..b@x.example",
        ".a@x.example",
        "a.@x.example",
        # The mailbox of another domain, by IDNA 2003 and 2008.
        "info@faß.de",
        "info@σοφός.gr",
        "info@نامه\u200cای.com",
        "info@ශ්\u200dරී.com",
        # Another domain than what was typed.
        "ada@exam\u200bple.com",
        "ada@exa\u00admple.com",
        "ada@example\uff0ecom",
        "ada@example\u3002com",
        "ada@\u2100.example",
        "ada@\uff45xample.com",
        # Full-width marks, which IDNA turns into plain ones: two addresses.
        "ada@example.com\uff0ceve\uff20example.com",
        "ada@example.com\uff20example.org",
        "ada@example.com\uff1b",
        # SES takes only ASCII before the @.
        "adaé@example.com",
        "ada\u200b@example.com",
        "a" * 65 + "@example.com",
        "a" * 2000 + "@example.com",
        "ada@" + "a" * 64 + ".com",
        "ada@" + ".".join(["a" * 60] * 5),
        "a" * 64 + "@" + ".".join(["a" * 60] * 3) + ".example.com",
        "ada@" + "ü" * 63 + ".de",
    ],
    ids=lambda email: ascii(email[:40]) + str(len(email)),
)
def test_deliverable_address_is_none_if_ses_rejects_it(email: str) -> None:
    assert deliverable_address(email) is None


@given(st.text(st.sampled_from("ab.@,;:<> \r\n\"'\uff20\uff0c\uff1b\uff1a\u3002é"), max_size=20))
def test_deliverable_address_is_one_ascii_address(email: str) -> None:
    address = deliverable_address(email)
    if address is not None:
        assert address.isascii()
        assert address.count("@") == 1
        assert not set(address) & set(',;:<>()[]\\" \t\r\n\0')


# Whom it is from.


def parsed(header: str) -> tuple[str, str]:
    """Return name and address that parsers of the standard library find in a message with this header."""
    assert header.isascii()
    assert "\n" not in header
    # SES may fold the line between encoded words.
    folded = header.replace("?= =?", "?=\r\n =?")
    raw = f"From: {header}\r\nReply-To: {folded}\r\nSubject: Welcome\r\n\r\nHello\r\n".encode()
    message = BytesParser().parsebytes(raw)
    name, address = shown(message, "From")
    assert shown(message, "Reply-To") == (name, address)
    # The other parser of the standard library leaves a space between two encoded words.
    if header.count("=?utf-8?") < 2:
        (strict,) = BytesParser(policy=policy.SMTP).parsebytes(raw)["From"].addresses
        assert (strict.display_name, strict.addr_spec) == (name, address)
    return name, address


def shown(message: Message, header: str) -> tuple[str, str]:
    """Return name and address of a header with one mailbox, as a mail program shows them."""
    ((name, address),) = getaddresses(message.get_all(header, []))
    return str(make_header(decode_header(name))), address


@pytest.mark.parametrize(("given", "name", "address"), [(given, *expected) for given, expected in SENDERS.items()])
def test_sender_is_parsed_back_as_it_was_given(given: str, name: str, address: str) -> None:
    assert parsed(header_mailbox(given)) == (name, address)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Example <hello@example.com>", "Example <hello@example.com>"),
        ('"Example" <hello@example.com>', "Example <hello@example.com>"),
        ("Example, Inc. <hello@example.com>", '"Example, Inc." <hello@example.com>'),
        ("Müller & Söhne <hello@example.com>", "=?utf-8?b?TcO8bGxlciAmIFPDtmhuZQ==?= <hello@example.com>"),
    ],
)
def test_name_of_a_sender_is_quoted_or_encoded_if_it_has_to_be(given: str, expected: str) -> None:
    assert header_mailbox(given) == expected


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=120))
def test_quoted_name_is_parsed_back_whatever_it_holds(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    header = header_mailbox(f'"{quoted}" <hello@example.com>')
    assert all(len(word) <= 75 for word in header.split() if word.startswith("=?utf-8?"))
    assume("=?" not in name)  # an encoded word of the operator's is decoded
    assert parsed(header) == (" ".join(name.split()), "hello@example.com")


@pytest.mark.parametrize("given", ["", "hello", "Name <hello>", "hello@faß.de", "Name <a@b.co> x", "höllo@example.com"])
def test_header_mailbox_rejects_an_invalid_sender(given: str) -> None:
    with pytest.raises(WelcomeRejectedError, match=re.escape(repr(given))):
        header_mailbox(given)


# Sending.


def send(aws: FakeAws, welcome: WelcomeEmail = WELCOME) -> str:
    client = aws.session.client("sesv2", config=Config(retries={"total_max_attempts": 1}))
    return welcome.send(client, "ada@example.com", MAIL, SUB)


def test_send_requests_one_email_to_one_address(aws: FakeAws) -> None:
    aws.on(SEND, Response({"MessageId": "m1"}))
    assert send(aws) == "m1"
    assert [call.body for call in aws.calls] == [
        {
            "FromEmailAddress": "Shop <hello@example.com>",
            "Destination": {"ToAddresses": ["ada@example.com"]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": "Welcome", "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": "Hello", "Charset": "UTF-8"},
                        "Html": {"Data": "<p>Hello</p>", "Charset": "UTF-8"},
                    },
                }
            },
            "EmailTags": [{"Name": "sub", "Value": SUB}],
        }
    ]


def test_reply_to_and_configuration_set_are_sent_where_given(aws: FakeAws) -> None:
    aws.on(SEND, Response({"MessageId": "m1"}))
    send(aws, dataclasses.replace(WELCOME, reply_to="Help, now <help@müller.de>", configuration_set="set"))
    [call] = aws.calls
    assert call.body["ReplyToAddresses"] == ['"Help, now" <help@xn--mller-kva.de>']
    assert call.body["ConfigurationSetName"] == "set"


def test_identity_of_another_account_is_named(aws: FakeAws) -> None:
    aws.on(SEND, Response({"MessageId": "m1"}))
    identity = "arn:aws:ses:eu-central-1:999999999999:identity/example.com"
    send(aws, dataclasses.replace(WELCOME, identity_arn=identity))
    assert aws.calls[0].body["FromEmailAddressIdentityArn"] == identity


def test_sender_is_sent_in_ascii(aws: FakeAws) -> None:
    aws.on(SEND, Response({"MessageId": "m1"}))
    send(aws, dataclasses.replace(WELCOME, sender="Müller & Söhne <hallo@example.de>"))
    assert aws.calls[0].body["FromEmailAddress"] == "=?utf-8?b?TcO8bGxlciAmIFPDtmhuZQ==?= <hallo@example.de>"


def test_email_of_each_sender_arrives_through_smtp(aws: FakeAws) -> None:
    """A server without SMTPUTF8 takes 7-bit addresses only, and rejects a MAIL FROM that is not exactly one."""
    aws.on(SEND, Response({"MessageId": "m1"}))
    for sender in SENDERS:
        send(aws, dataclasses.replace(WELCOME, sender=sender, reply_to=sender))
    received = asyncio.run(through_smtp([call.body for call in aws.calls]))
    assert received == [(address, (name, address), (name, address)) for name, address in SENDERS.values()]


async def through_smtp(requests: list[Any]) -> list[tuple[str | None, tuple[str, str], tuple[str, str]]]:
    """Send what SES makes of the requests; returns the envelope's sender, From and Reply-To as they arrived."""
    received = []

    class Mailbox:
        async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
            assert isinstance(envelope.content, bytes)
            message = BytesParser().parsebytes(envelope.content)
            received.append((envelope.mail_from, shown(message, "From"), shown(message, "Reply-To")))
            return "250 OK"

    def send_all(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as connection:
            for request in requests:
                sender, [reply_to] = request["FromEmailAddress"], request["ReplyToAddresses"]
                subject = request["Content"]["Simple"]["Subject"]["Data"]
                message = f"From: {sender}\r\nReply-To: {reply_to}\r\nSubject: {subject}\r\n\r\nHello\r\n"
                connection.sendmail(sender, request["Destination"]["ToAddresses"], message)

    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: SMTP(Mailbox(), loop=loop), "127.0.0.1", 0) as server:
        await asyncio.to_thread(send_all, server.sockets[0].getsockname()[1])
    return received


def test_too_many_requests_is_not_sent(aws: FakeAws) -> None:
    aws.on(SEND, error_response("TooManyRequestsException", 429))
    with pytest.raises(WelcomeNotSentError, match="^TooManyRequestsException$"):
        send(aws)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("MessageRejected", 400),
        ("MailFromDomainNotVerifiedException", 400),
        ("SendingPausedException", 400),
        ("NotFoundException", 404),
    ],
)
def test_send_raises_welcome_rejected_error_with_the_code(aws: FakeAws, code: str, status: int) -> None:
    # "Email address is not verified. The following identities failed the check ...: ada@example.com"
    aws.on(SEND, error_response(code, status, "ada@example.com"))
    with pytest.raises(WelcomeRejectedError) as raised:
        send(aws)
    assert str(raised.value) == code


UNKNOWN: list[Any] = [
    error_response("InternalFailure", 500),
    Response(b"<html>Bad gateway</html>", 502),
    error_response("ServiceUnavailable", 503),
    ReadTimeoutError(endpoint_url="https://email"),
    ConnectionClosedError(endpoint_url="https://email"),
]


@pytest.mark.parametrize("answer", UNKNOWN, ids=["500", "502", "503", "read-timeout", "closed"])
def test_send_raises_welcome_outcome_unknown_error(aws: FakeAws, answer: Any) -> None:
    aws.on(SEND, answer)
    with pytest.raises(WelcomeOutcomeUnknownError):
        send(aws)
    assert aws.operations == [SEND]


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://email"),
        EndpointConnectionError(endpoint_url="https://email", error="unreachable"),
        ProxyConnectionError(proxy_url="https://proxy"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_send_raises_not_sent_error_without_a_connection(aws: FakeAws, error: BotoCoreError) -> None:
    aws.on(SEND, error)
    with pytest.raises(WelcomeNotSentError, match=type(error).__name__):
        send(aws)


def test_default_templates_have_no_tracking_and_are_small() -> None:
    folder = Path(__file__).parents[2] / "emails"
    html, text = ((folder / f"welcome.{kind}").read_text(encoding="utf-8") for kind in ("html", "txt"))
    assert len(html) < 10_000
    assert not re.search(r"https?:|<(img|a|table|script|link)\b", html)
    assert "prefers-color-scheme: dark" in html
    for line in filter(None, text.splitlines()):
        assert f">{line}</" in html
