"""Patches of ministack where it differs from AWS in what this project relies on. One module for each concern.

Each patch describes what AWS does, and first checks that the patched code still looks as expected.
"""

from __future__ import annotations

import contextvars
import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from local_aws.operations import Request

# The HTTP request that is being answered, for patches that need more of it than the emulator passes on.
current_request: contextvars.ContextVar[Request | None] = contextvars.ContextVar("current_request", default=None)

# In this order: some wrap the same functions.
_PATCHES: Final = (
    "confirmations",
    "download_addresses",
    "executions",
    "function_updates",
    "index_counts",
    "lambda_actions",
    "lambda_errors_and_logs",
    "mail_permissions",
    "missing_operations",
    "pool_updates",
    "read_back",
    "saved_queries",
    "schedules",
    "secure_transport",
    "stream_mappings",
    "user_listing",
    "whole_answers",
)


def apply() -> None:
    """Apply all patches, once."""
    for name in _PATCHES:
        importlib.import_module(f"{__name__}.{name}").apply()
