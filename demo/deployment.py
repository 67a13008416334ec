"""The module, called as a user calls it and applied by the real Terraform, in its own folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.report import Report, Unexpected

MODULE = Path(__file__).resolve().parents[1]
COMMAND_SECONDS = 300

CONFIGURATION = """\
module "user_sync" {{
  source = "{source}"

  user_pool_id = "{user_pool_id}"
  stage        = "demo"
  attributes   = ["name", "email", "phone_number", "custom:plan"]

  welcome_email = {{
    from = "Example <{sender}>"
  }}

  table = {{
    deletion_protection = false
  }}
}}

output "user_sync" {{
  value = module.user_sync
}}
"""

# Where the user's Terraform gets its providers from. Other variables would change where it acts, or on what: a profile,
# a workspace, a variable, an argument.
_KEPT = re.compile(r"TF_(CLI_CONFIG_FILE|PLUGIN_CACHE_\w+|REGISTRY_\w+|TOKEN_\w+)")
_FOREIGN = re.compile(r"(AWS|TF)_\w+")


def clean_environment(inherited: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return Terraform's environment: `given`, and of the user's settings only the origin of providers."""
    kept = {name: value for name, value in inherited.items() if _KEPT.fullmatch(name) or not _FOREIGN.fullmatch(name)}
    return {
        **kept,
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        # The default profile may assume a role, or have another endpoint.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **given,
    }


class Deployment:
    """A configuration in `folder`, which is below the module's folder, with its own state.

    `environment` is what Terraform needs in addition to the user's environment. Every method raises Unexpected with the
    end of Terraform's output if Terraform fails.
    """

    def __init__(
        self, report: Report, folder: Path, user_pool_id: str, sender: str, environment: Mapping[str, str]
    ) -> None:
        self._report = report
        self._folder = folder
        self._environment = clean_environment(os.environ, environment)
        # Terraform uses a relative source in place. It would copy an absolute one.
        source = os.path.relpath(MODULE, folder.resolve())
        (folder / "main.tf").write_text(
            CONFIGURATION.format(source=source, user_pool_id=user_pool_id, sender=sender), encoding="utf-8"
        )

    def init(self) -> None:
        self._terraform("init", "-input=false", "-no-color")

    def apply(self) -> str:
        """Apply. Returns the last line, such as "Apply complete! Resources: 32 added, ..."."""
        self.init()
        return _last_line("Apply complete!", self._terraform("apply", "-auto-approve", "-input=false", "-no-color"))

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self._terraform("output", "-json"))["user_sync"]["value"]
        return outputs

    def planned_changes(self) -> list[str]:
        """Return what another apply would change: addresses of resources, and outputs."""
        self._terraform("plan", "-out=plan", "-input=false", "-no-color")
        plan = json.loads(self._terraform("show", "-json", "plan"))
        changes = {change["address"]: change["change"] for change in plan.get("resource_changes", [])}
        changes |= {f"output.{name}": change for name, change in plan.get("output_changes", {}).items()}
        return [name for name, change in changes.items() if change["actions"] != ["no-op"]]

    def destroy(self) -> str:
        """Destroy. Returns the last line, such as "Destroy complete! Resources: 32 destroyed."."""
        return _last_line("Destroy complete!", self._terraform("destroy", "-auto-approve", "-input=false", "-no-color"))

    def cognito_user_sync(self, *arguments: str) -> str:
        """Run the command line for this deployment. Returns its output."""
        sources = {"PYTHONPATH": f"{MODULE / 'cli'}:{MODULE / 'lambda_src'}"}
        done = self._run([sys.executable, "-m", "cognito_user_sync_cli", *arguments], sources)
        if done.returncode != 0:
            raise Unexpected(
                f"cognito-user-sync {' '.join(arguments)} exits {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def _terraform(self, command: str, *arguments: str) -> str:
        with self._report.console.status(f"terraform {command}"):
            done = self._run(["terraform", command, *arguments], {})
        if done.returncode != 0:
            errors = relevant(done.stderr or done.stdout)
            raise Unexpected(f"terraform {command} failed ({done.returncode}):\n{errors}")
        return done.stdout

    def _run(self, command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                cwd=self._folder,
                env={**self._environment, **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            output = relevant((error.stdout or b"").decode(errors="replace"))
            raise Unexpected(f"{' '.join(command)} did not end within {COMMAND_SECONDS} s:\n{output}") from None


def relevant(output: str, lines: int = 40) -> str:
    """Return Terraform's output from its first error on, or else its end."""
    found = output.strip().splitlines()
    first = next((number for number, line in enumerate(found) if line.lstrip("╷│ ").startswith("Error:")), None)
    shown = found[-lines:] if first is None else found[first : first + lines]
    return "\n".join(shown)


def _last_line(beginning: str, output: str) -> str:
    last = next((line for line in output.splitlines() if line.startswith(beginning)), None)
    if last is None:
        raise Unexpected(f'the output of terraform has no line "{beginning}":\n{relevant(output)}')
    return last
