"""The command line `cognito-user-sync`, run in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cognito_user_sync_cli import terminal
from cognito_user_sync_cli.app import app
from cognito_user_sync_cli.deployment import Deployment


def invoke(folder: Path, outputs: Mapping[str, Any], *arguments: str) -> Result:
    """Run a command for a deployment with these outputs of the module, which are written to a file in `folder`."""
    file = folder / "outputs.json"
    file.write_text(json.dumps({"user_sync": {"value": outputs}}))
    with pytest.MonkeyPatch.context() as patch:
        # The account is not asked for.
        patch.setattr(Deployment, "check", lambda _: None)
        for console in (terminal.stdout, terminal.stderr):
            patch.setattr(console, "width", 200)
        return CliRunner().invoke(app, ["--outputs", str(file), *arguments])
