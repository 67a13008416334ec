"""The account of the acceptance tests, and the page with their answers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.acceptance import account, facts
from tests.acceptance.account import Account, AccountError
from tests.acceptance.facts import Answer
from tests.acceptance.run import Run, clean_up, interrupted

MOTOS_ACCOUNT = "123456789012"
EMAIL = "you@example.com"
ON_AWS = Account("123456789012", "eu-west-1", EMAIL, boto3.session.Session(region_name="eu-west-1"))
ANSWERED = {"filter-sub": Answer("no: a | b", "2030-01-02", "eu-west-1")}


@pytest.fixture
def confirmed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with all settings."""
    monkeypatch.setenv("ACCEPTANCE_ACCOUNT", MOTOS_ACCOUNT)
    monkeypatch.setenv("ACCEPTANCE_EMAIL", EMAIL)
    return monkeypatch


def test_all_missing_settings_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCEPTANCE_ACCOUNT", "ACCEPTANCE_EMAIL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AccountError) as raised:
        Account.from_environment()
    assert str(raised.value).splitlines()[1:] == [
        f"- {what}" for what in (account.ACCOUNT, account.EMAIL, account.REGION, account.CREDENTIALS)
    ]


def test_account_must_be_the_confirmed_one(confirmed: pytest.MonkeyPatch) -> None:
    confirmed.setenv("ACCEPTANCE_ACCOUNT", "111111111111")
    with mock_aws(), pytest.raises(AccountError) as raised:
        Account.from_environment()
    assert f"ACCEPTANCE_ACCOUNT is 111111111111, but the credentials are of account {MOTOS_ACCOUNT}" in str(
        raised.value
    )


def test_email_must_be_verified(confirmed: pytest.MonkeyPatch) -> None:
    with mock_aws():
        boto3.client("sesv2").create_email_identity(EmailIdentity=EMAIL)  # not verified
        with pytest.raises(AccountError, match=f"{EMAIL}: neither the address nor its domain is a verified identity"):
            Account.from_environment()
        assert Account.from_environment(sends_mail=False).id == MOTOS_ACCOUNT


def test_only_endpoints_of_aws_are_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for region in ("eu-west-1", "cn-north-1", "us-gov-west-1"):
        assert replace(ON_AWS, region=region).is_aws
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", "http://127.0.0.1:4566")
    assert not replace(ON_AWS, session=boto3.session.Session()).is_aws


@pytest.mark.parametrize(
    ("selectors", "selects"),
    [
        ({"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "All"}]}, True),
        ({"EventSelectors": [{"IncludeManagementEvents": True, "ReadWriteType": "ReadOnly"}]}, False),
        ({"EventSelectors": [{"IncludeManagementEvents": False, "ReadWriteType": "All"}]}, False),
        (
            {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]},
            True,
        ),
        ({"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Data"]}]}]}, False),
        (
            {
                "AdvancedEventSelectors": [
                    {
                        "FieldSelectors": [
                            {"Field": "eventCategory", "Equals": ["Management"]},
                            {"Field": "readOnly", "Equals": ["true"]},
                        ]
                    }
                ]
            },
            False,
        ),
    ],
)
def test_a_trail_counts_if_it_logs_writing_management_events(selectors: dict[str, Any], selects: bool) -> None:
    assert account._selects_management_events(selectors) == selects


@pytest.mark.parametrize(("typed", "code"), [("123456\n", "123456"), ("\n", None), ("", None)])
def test_operator_types_the_code_or_nothing(monkeypatch: pytest.MonkeyPatch, typed: str, code: str | None) -> None:
    terminal, keyboard = os.openpty()
    os.write(terminal, typed.encode())
    with os.fdopen(keyboard) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert account.OperatorsMailbox().code("sign-up", seconds=0.2) == code
    os.close(terminal)


def test_no_code_without_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("123456\n")
    with (tmp_path / "input").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert account.OperatorsMailbox().code("sign-up") is None


# --- interrupted runs


def test_run_of_another_region_is_reported_and_kept(tmp_path: Path) -> None:
    run = Run.begin(ON_AWS, tmp_path)
    (problem,) = clean_up(replace(ON_AWS, region="us-east-1"), tmp_path)
    assert f"The interrupted run {run.id} is in account {MOTOS_ACCOUNT}, region eu-west-1" in problem
    assert interrupted(tmp_path) == [run.folder]


# --- docs/aws-facts.md


def test_page_has_the_questions_of_the_code() -> None:
    page = facts.PAGE.read_text(encoding="utf-8")
    assert facts.page_of(facts.answers_of(page)) == page, "run: make docs"


def test_page_without_answers_shows_that_it_was_not_run() -> None:
    page = facts.page_of({})
    assert "The tests have not been run on AWS yet" in page
    assert page.count(f"| {facts.OPEN} |") == len(facts.QUESTIONS)
    assert "have not been run" not in facts.page_of(ANSWERED)


def test_answers_of_aws_are_written_beside_earlier_ones(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(facts.page_of(ANSWERED))
    later = {"unconfirmed": Answer("yes", "2031-01-02", "us-east-1")}
    assert facts.record_answers(ON_AWS, later, page)
    assert facts.answers_of(page.read_text()) == {**ANSWERED, **later}


def test_answers_of_the_local_aws_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    local = replace(ON_AWS, session=boto3.session.Session(region_name="eu-west-1"))
    assert not facts.record_answers(local, ANSWERED, tmp_path / "page.md")
    assert list(tmp_path.iterdir()) == []


def test_answers_have_no_ids() -> None:
    context = facts.Context(ON_AWS, Any, "ada", "0123-4567-89ab", "bob", "", "", None)  # type: ignore[arg-type]
    context.pool = type("Pool", (), {"id": "eu-west-1_Abc"})()
    text = f"{context.sub} of {context.pool.id}, {ON_AWS.id}, {EMAIL}"
    assert facts._without_ids(text, context) == "<sub> of <pool>, <account>, <email>"
