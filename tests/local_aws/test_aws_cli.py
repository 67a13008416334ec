"""The substitute for the AWS CLI supports the commands of docs/try-it.md, and calls only the local AWS."""

from __future__ import annotations

import json

import pytest

from local_aws import __main__ as command
from local_aws.client import LocalAws


@pytest.fixture(autouse=True)
def shell(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)


def typed(capsys: pytest.CaptureFixture[str], line: str, status: int = 0) -> str:
    assert command.main(["aws", *line.split()]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def test_aws_cli_takes_lists_structures_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    create = "cognito-idp create-user-pool --pool-name people --auto-verified-attributes email phone_number"
    pool = typed(capsys, f"{create} --query UserPool.Id --output text").strip()
    user = f"cognito-idp admin-create-user --user-pool-id {pool} --username ada --message-action SUPPRESS"
    typed(capsys, f"{user} --user-attributes Name=email,Value=ada@example.com Name=name,Value=Ada")
    typed(capsys, f'cognito-idp update-user-pool --user-pool-id {pool} --user-pool-tags {{"team":"a"}}')
    listed = json.loads(typed(capsys, f"cognito-idp list-users --user-pool-id {pool} --limit 5"))
    attributes = {each["Name"]: each["Value"] for each in listed["Users"][0]["Attributes"]}
    assert (attributes["email"], attributes["name"]) == ("ada@example.com", "Ada")
    described = f"cognito-idp describe-user-pool --user-pool-id {pool} --query UserPool.UserPoolTags"
    assert json.loads(typed(capsys, described)) == {"team": "a"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cognito-idp", "the form is: python -m local_aws aws SERVICE OPERATION --option value"),
        ("cognito-idp create-pool", "cognito-idp has no operation create-pool"),
        ("ses delete-identity --name x", "delete-identity has no option --name: it has --identity"),
        ("ses delete-identity x", "x is not an option: the form is SERVICE OPERATION --option value"),
        ("cognito-idp describe-user-pool --user-pool-id us-east-1_Missing01", "ResourceNotFoundException"),
    ],
)
def test_aws_cli_rejects_invalid_commands(capsys: pytest.CaptureFixture[str], line: str, says: str) -> None:
    assert says in typed(capsys, line, status=1)


@pytest.mark.parametrize("arguments", [["emails"], ["aws", "ses", "list-identities"]])
def test_aws_cli_rejects_the_endpoint_of_aws(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert command.main(arguments) == 1
    assert 'AWS_ENDPOINT_URL is "", not that of a local AWS' in capsys.readouterr().err


def test_emails_are_printed_with_their_text(aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.client("ses").verify_email_identity(EmailAddress="cli@example.com")
    aws.client("ses").send_email(
        Source="cli@example.com",
        Destination={"ToAddresses": ["ada@example.com"]},
        Message={"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Welcome\n"}}},
    )
    assert command.main(["emails"]) == 0
    assert "From: cli@example.com\nTo: ada@example.com\nSubject: Hello\n\nWelcome\n" in capsys.readouterr().out
