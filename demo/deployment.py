"""The module, called as a user calls it and applied by the real Terraform, in its own folder."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
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

# Where the user's Terraform gets its providers from. All else of the user's would act somewhere else, or on
# something else: a profile, a workspace, a variable, an argument.
_KEPT = re.compile(r"TF_(CLI_CONFIG_FILE|PLUGIN_CACHE_\w+|REGISTRY_\w+|TOKEN_\w+)")
_FOREIGN = re.compile(r"(AWS|TF)_\w+")


def clean_environment(inherited: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What Terraform runs with: `given`, and of the user's settings only where providers come from."""
    kept = {name: value for name, value in inherited.items() if _KEPT.fullmatch(name) or not _FOREIGN.fullmatch(name)}
    return {
        **kept,
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        # The default profile may assume a role, or name another endpoint.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **given,
    }


class Deployment:
    """A configuration in `folder`, a folder below the module's, with its own state, plugins and lock file.

    `environment` is what Terraform needs beside the user's own; `alive` raises when waiting has become pointless.
    Every method raises Unexpected, with the end of what Terraform said, where Terraform fails. None leaves a process
    behind, whatever is raised.
    """

    def __init__(
        self,
        report: Report,
        folder: Path,
        user_pool_id: str,
        sender: str,
        environment: Mapping[str, str],
        alive: Callable[[], None],
    ) -> None:
        self._report = report
        self._folder = folder
        self._environment = clean_environment(os.environ, environment)
        self._alive = alive
        # A relative source is used where it is; an absolute one is a package, to be fetched.
        source = os.path.relpath(MODULE, folder.resolve())
        (folder / "main.tf").write_text(
            CONFIGURATION.format(source=source, user_pool_id=user_pool_id, sender=sender), encoding="utf-8"
        )

    def init(self) -> None:
        self._terraform("init", "-input=false", "-no-color")

    def apply(self) -> str:
        """Returns Terraform's last word, such as "Apply complete! Resources: 32 added, ..."."""
        self.init()
        return _last_word("Apply complete!", self._terraform("apply", "-auto-approve", "-input=false", "-no-color"))

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self._terraform("output", "-json"))["user_sync"]["value"]
        return outputs

    def planned_changes(self) -> list[str]:
        """What another apply would change: addresses of resources, and outputs."""
        self._terraform("plan", "-out=plan", "-input=false", "-no-color")
        plan = json.loads(self._terraform("show", "-json", "plan"))
        changes = {change["address"]: change["change"] for change in plan.get("resource_changes", [])}
        changes |= {f"output.{name}": change for name, change in plan.get("output_changes", {}).items()}
        return [name for name, change in changes.items() if change["actions"] != ["no-op"]]

    def destroy(self) -> str:
        """Returns Terraform's last word, such as "Destroy complete! Resources: 32 destroyed."."""
        return _last_word("Destroy complete!", self._terraform("destroy", "-auto-approve", "-input=false", "-no-color"))

    def cognito_user_sync(self, *arguments: str) -> str:
        """Returns what the command line prints for this deployment."""
        done = subprocess.run(
            [sys.executable, "-m", "cognito_user_sync_cli", *arguments],
            cwd=self._folder,
            env={**self._environment, "PYTHONPATH": f"{MODULE / 'cli'}:{MODULE / 'lambda_src'}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise Unexpected(f"cognito-user-sync {' '.join(arguments)} exits {done.returncode}:\n{done.stdout}")
        return done.stdout

    def _terraform(self, command: str, *arguments: str) -> str:
        # Files, not pipes: they can be read while Terraform writes, and no process that outlives it keeps us waiting.
        said, complained = (self._folder / f"{command}.{stream}" for stream in ("out", "err"))
        with said.open("wb") as out, complained.open("wb") as err:
            process = subprocess.Popen(
                ["terraform", command, *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # With its providers, so that they can be ended together; Ctrl-C then reaches us alone.
                process_group=0,
            )
            try:
                self._wait(process, command, said)
            finally:
                _end_group(process)
        output = said.read_text(encoding="utf-8", errors="replace")
        if process.returncode != 0:
            errors = complained.read_text(encoding="utf-8", errors="replace")
            raise Unexpected(f"terraform {command} failed ({process.returncode}):\n{relevant(errors or output)}")
        return output

    def _wait(self, process: subprocess.Popen[bytes], command: str, said: Path) -> None:
        deadline = time.monotonic() + COMMAND_SECONDS
        with self._report.waiting(f"terraform {command}") as progress:
            while True:
                try:
                    process.wait(0.25)
                except subprocess.TimeoutExpired:
                    self._alive()
                    if time.monotonic() > deadline:
                        output = said.read_text(encoding="utf-8", errors="replace")
                        raise Unexpected(
                            f"terraform {command} did not end within {COMMAND_SECONDS} s:\n{relevant(output)}"
                        ) from None
                    progress(resources_so_far(said.read_text(encoding="utf-8", errors="replace")))
                else:
                    return


def relevant(output: str, lines: int = 40) -> str:
    """The part of Terraform's output that says what went wrong: from its first error on, or else the end."""
    found = output.strip().splitlines()
    first = next((number for number, line in enumerate(found) if line.lstrip("╷│ ").startswith("Error:")), None)
    shown = found[-lines:] if first is None else found[first : first + lines]
    return "\n".join(shown)


def resources_so_far(output: str) -> str:
    """How many of the planned resources are done, such as "36 of 64"; "" before Terraform has planned."""
    planned = re.search(r"^Plan: (\d+) to add, (\d+) to change, (\d+) to destroy", output, re.MULTILINE)
    done = len(re.findall(r": (?:Creation|Modifications|Destruction) complete", output))
    return f"{done} of {sum(map(int, planned.groups()))}" if planned else ""


def _last_word(beginning: str, output: str) -> str:
    last = next((line for line in output.splitlines() if line.startswith(beginning)), None)
    if last is None:
        raise Unexpected(f'terraform did not say "{beginning}":\n{relevant(output)}')
    return last


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill Terraform and its providers together: the local AWS that they work on ends with them."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
