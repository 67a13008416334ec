"""aws:SecureTransport is true, although requests to the local AWS do not use TLS.

Policies deny plain HTTP. These requests do not leave the machine.
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
