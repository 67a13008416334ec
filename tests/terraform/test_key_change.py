"""modules/key_change, step by step. It needs no provider."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mocked_terraform import ROOT, environment, terraform_init
from tests.terraform.conftest import KEY, PREVIOUS_KEY


class Step(NamedTuple):
    """One apply, and whether its plan fails."""

    key: str | None
    previous: list[str]
    fails: bool = False


A, B = KEY, PREVIOUS_KEY
SEQUENCES = {
    "a key replaces another": [Step(A, []), Step(B, [], True), Step(B, [A]), Step(B, []), Step(A, [], True)],
    "a key is removed": [Step(A, []), Step(None, [], True), Step(None, [A]), Step(None, [])],
    "a key is added": [Step(None, []), Step(A, []), Step(B, [], True), Step(B, [A])],
    "a key is used again": [Step(A, []), Step(None, [A]), Step(A, [A]), Step(A, []), Step(None, [], True)],
}


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_key_change_fails_unless_the_previous_key_is_named(tmp_path: Path, sequence: str) -> None:
    configuration = {
        "variable": {"key": {}, "previous": {"type": "list(string)"}},
        "module": {
            "key_change": {
                "source": str(ROOT / "modules" / "key_change"),
                "deployment": "cognito-user-sync-dev",
                "kms_key_arn": "${var.key}",
                "previous_kms_key_arns": "${var.previous}",
            }
        },
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(configuration), encoding="utf-8")
    terraform_init(tmp_path, environment(tmp_path))
    before = None
    for step in SEQUENCES[sequence]:
        given = {"key": step.key, "previous": step.previous}
        (tmp_path / "terraform.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
        done = subprocess.run(
            ["terraform", "apply", "-auto-approve", "-input=false", "-no-color", "-compact-warnings"],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        errors = " ".join(done.stderr.replace("│", " ").split())
        assert (done.returncode == 1) == step.fails, (step, errors)
        assert errors.count("Error:") == step.fails, errors
        if step.fails:
            assert f"kms_key_arn was {before} and is now {step.key or 'null'}." in errors
        else:
            before = step.key
