"""What Terraform tells a function: its environment, read once into a frozen dataclass, one function a Lambda.

Every variable is set by the Terraform module of the function; none has a default here, so that a missing one is
found at the first call and not in the data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass


class MissingSetting(Exception):
    """An environment variable that the function needs is not set, or does not parse."""


@dataclass(frozen=True)
class PostConfirmationSettings:
    state_machine_arn: str
    unstarted_queue_url: str
    attributes: tuple[str, ...]
    chained_function_arn: str | None


@dataclass(frozen=True)
class ReplaySignUpsSettings:
    state_machine_arn: str


@dataclass(frozen=True)
class SyncUserSettings:
    table_name: str
    attributes: tuple[str, ...]
    index_keys: frozenset[str]


@dataclass(frozen=True)
class SendWelcomeSettings:
    attributes: tuple[str, ...]


def post_confirmation(environ: Mapping[str, str] = os.environ) -> PostConfirmationSettings:
    return PostConfirmationSettings(
        state_machine_arn=_text(environ, "USER_SYNC_STATE_MACHINE_ARN"),
        unstarted_queue_url=_text(environ, "UNSTARTED_QUEUE_URL"),
        attributes=_names(environ, "ATTRIBUTES"),
        chained_function_arn=environ.get("CHAINED_FUNCTION_ARN") or None,
    )


def replay_sign_ups(environ: Mapping[str, str] = os.environ) -> ReplaySignUpsSettings:
    return ReplaySignUpsSettings(state_machine_arn=_text(environ, "USER_SYNC_STATE_MACHINE_ARN"))


def sync_user(environ: Mapping[str, str] = os.environ) -> SyncUserSettings:
    return SyncUserSettings(
        table_name=_text(environ, "USER_TABLE_NAME"),
        attributes=_names(environ, "ATTRIBUTES"),
        index_keys=frozenset(_names(environ, "INDEX_KEYS")),
    )


def send_welcome(environ: Mapping[str, str] = os.environ) -> SendWelcomeSettings:
    return SendWelcomeSettings(attributes=_names(environ, "ATTRIBUTES"))


def _text(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise MissingSetting(f"environment variable {name} is not set")
    return value


def _names(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """A JSON list of strings; `[]` is a valid one."""
    try:
        names = json.loads(_text(environ, name))
    except ValueError as error:
        raise MissingSetting(f"environment variable {name} is not JSON") from error
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise MissingSetting(f"environment variable {name} is not a JSON list of strings")
    return tuple(names)
