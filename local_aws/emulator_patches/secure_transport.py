"""A request counts as one over TLS.

Policies deny what comes over plain HTTP (aws:SecureTransport). On a laptop all of it does, and stays on the machine.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator

from local_aws.emulator_patches.patching import expect


def apply() -> None:
    resolve = iam_evaluator._resolve_condition_key
    expect(resolve, 'if k == "aws:securetransport":')

    def patched(key: str, context: iam_evaluator.EvalContext) -> Any:
        return "true" if key.lower() == "aws:securetransport" else resolve(key, context)

    iam_evaluator._resolve_condition_key = patched
