"""The module, called as a user calls it and applied by the real Terraform, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.report import Unexpected

MODULE = Path(__file__).resolve().parents[1]

CONFIGURATION = """\
module "user_sync" {{
  source = {source}

  user_pool_id = {user_pool_id}
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


class Deployment:
    """A configuration in `folder` that calls the module. Terraform gets `environment` and no setting of the user's."""

    def __init__(self, folder: Path, user_pool_id: str, sender: str, environment: Mapping[str, str]) -> None:
        self._folder = folder
        foreign = ("AWS_", "TF_")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            **environment,
        }
        (folder / "main.tf").write_text(
            CONFIGURATION.format(source=json.dumps(str(MODULE)), user_pool_id=json.dumps(user_pool_id), sender=sender)
        )

    def apply(self) -> str:
        """Returns Terraform's last word, such as "Apply complete! Resources: 32 added, ..."."""
        self._terraform("init")
        return self._last_word("Apply complete!", self._terraform("apply", "-auto-approve"))

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self._terraform("output", "-json"))["user_sync"]["value"]
        return outputs

    def planned_changes(self) -> list[str]:
        """The addresses of the resources that another apply would change."""
        self._terraform("plan", "-out=plan")
        plan = json.loads(self._terraform("show", "-json", "plan"))
        return [
            change["address"] for change in plan.get("resource_changes", []) if change["change"]["actions"] != ["no-op"]
        ]

    def destroy(self) -> str:
        return self._last_word("Destroy complete!", self._terraform("destroy", "-auto-approve"))

    @staticmethod
    def _last_word(beginning: str, output: str) -> str:
        return next(line for line in output.splitlines() if line.startswith(beginning))

    def _terraform(self, command: str, *arguments: str) -> str:
        colour = [] if command == "show" else ["-no-color"]
        asks = ["-input=false"] if command in {"init", "plan", "apply", "destroy"} else []
        done = subprocess.run(
            ["terraform", command, *asks, *colour, *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Unexpected(f"terraform {command} failed:\n{done.stderr[-3000:]}")
        return done.stdout
