"""Patches of ministack where it differs from AWS in what this project relies on; one module for each concern.

Every mend says what AWS does, and checks first that what it patches still looks as expected.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local_aws.operations import Request

# The HTTP request being answered, for mends that need more of it than the emulator hands on.
current_request: contextvars.ContextVar[Request | None] = contextvars.ContextVar("current_request", default=None)


def apply() -> None:
    """Apply every mend, once."""
    from local_aws.emulator_patches import (
        confirmations,
        download_addresses,
        executions,
        function_updates,
        index_counts,
        lambda_actions,
        lambda_errors_and_logs,
        mail_permissions,
        pool_updates,
        read_back,
        saved_queries,
        schedules,
        secure_transport,
        user_attributes,
        user_listing,
        whole_answers,
    )

    for mend in (
        confirmations,
        download_addresses,
        executions,
        function_updates,
        index_counts,
        lambda_actions,
        lambda_errors_and_logs,
        mail_permissions,
        pool_updates,
        read_back,
        saved_queries,
        schedules,
        secure_transport,
        user_attributes,
        user_listing,
        whole_answers,
    ):
        mend.apply()
