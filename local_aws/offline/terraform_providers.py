"""Finds Terraform's providers on a machine that cannot reach the registry.

It searches the machine for hashicorp/aws in a folder that no other user can write, and configures a substitute for
hashicorp/archive (`archive_provider.py`), through a CLI configuration under `.local/`:

    env="$(python -m local_aws.offline.terraform_providers)" && eval "$env" && terraform init

`.local/terraform/decision.json` remembers the result; `make clean` deletes it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections import deque
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROJECT = Path(__file__).resolve().parents[2]

# As in versions.tf.
TERRAFORM_AT_LEAST = (1, 9)
AWS_AT_LEAST, AWS_BELOW = (5, 100), (7,)

CONFIG_VARIABLE = "TF_CLI_CONFIG_FILE"
AWS = "registry.terraform.io/hashicorp/aws"
ARCHIVE = "registry.terraform.io/hashicorp/archive"
SUBSTITUTE_VERSION = "2.7.1"  # of hashicorp/archive

INIT_SECONDS = 60.0
SEARCH_SECONDS = 60.0

PROBE = """\
terraform {
  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
  }
}
"""

# The user's variables that would change where the probe acts, or on what.
NOT_FOR_THE_PROBE = re.compile(r"TF_(CLI_ARGS.*|DATA_DIR|WORKSPACE|LOG.*|INPUT)")

# Folders without a mirror, or with a working copy of one.
NOT_SEARCHED = frozenset({".cache", ".git", ".local", ".terraform", "__pycache__", "node_modules", "site-packages"})
NOT_SEARCHED_AT = frozenset(Path(path) for path in ("/dev", "/proc", "/run", "/sys", "/System", "/Volumes", "/snap"))

# Terraform checks a provider against .terraform.lock.hcl. So this file must not change if the project moves or its
# virtual environment changes: the paths are in other files. Terraform reaches it through a link.
WRAPPER = """\
#!/bin/sh
# Runs local_aws/offline/archive_provider.py instead of hashicorp/archive. Written by terraform_providers.py.
set -eu
home=$(cd -P "$(dirname "$0")/../../../../../.." && pwd)
IFS= read -r python < "$home/python"
IFS= read -r provider < "$home/provider"
exec "$python" -I "$provider" "$@"
"""


class ProvidersError(Exception):
    """Terraform cannot get its providers. The message names what is missing, and how to get it."""


@dataclass(frozen=True)
class Terraform:
    """The terraform on PATH."""

    executable: str
    version: tuple[int, ...]
    platform: str  # as in the names of provider folders: linux_amd64


@dataclass(frozen=True)
class Decision:
    """Where providers come from, for some settings of the user."""

    user_config: str | None  # the user's TF_CLI_CONFIG_FILE
    terraform: str
    mirror: str | None  # folder of registry.terraform.io/hashicorp/aws; None: Terraform downloads providers

    def holds(self, user_config: str | None, terraform: Terraform) -> bool:
        same_question = (self.user_config, self.terraform) == (user_config, describe(terraform))
        return same_question and (self.mirror is None or is_trusted(Path(self.mirror)))


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


def describe(terraform: Terraform) -> str:
    return f"{terraform.executable} {'.'.join(map(str, terraform.version))} {terraform.platform}"


def find_terraform() -> Terraform:
    """Find terraform on PATH. Raises ProvidersError if there is none, or if it is too old."""
    required = f"terraform >= {'.'.join(map(str, TERRAFORM_AT_LEAST))} is required"
    how = "https://developer.hashicorp.com/terraform/install"
    executable = shutil.which("terraform")
    if executable is None:
        raise ProvidersError(f"{required} (found none): {how}")
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    answer = subprocess.run(
        [executable, "version", "-json"], capture_output=True, text=True, env=environment, check=False
    )
    try:
        parsed = json.loads(answer.stdout)
        version, platform = numbers(parsed["terraform_version"]), parsed["platform"]
    except (ValueError, KeyError, TypeError):
        message = f"{required}, but {executable} prints no version: {answer.stderr.strip()[:200]}"
        raise ProvidersError(message) from None
    if version < TERRAFORM_AT_LEAST:
        raise ProvidersError(f"{required} (found {parsed['terraform_version']}): {how}")
    return Terraform(executable, version, platform)


def terraform_gets_providers(terraform: Terraform, user_config: str | None, seconds: float) -> str | None:
    """Let Terraform download hashicorp/archive. Returns its error, or None if it succeeds."""
    environment = {name: value for name, value in os.environ.items() if not NOT_FOR_THE_PROBE.fullmatch(name)}
    environment |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    environment.pop(CONFIG_VARIABLE, None)
    if user_config is not None:
        environment[CONFIG_VARIABLE] = user_config
    with tempfile.TemporaryDirectory(prefix="terraform-providers-") as folder:
        Path(folder, "main.tf").write_text(PROBE)
        try:
            answer = subprocess.run(
                [terraform.executable, "init", "-input=false", "-no-color", "-backend=false"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"terraform init did not end within {seconds:.0f} s"
    if answer.returncode == 0:
        return None
    start = answer.stdout.find("Error:")
    return " ".join(answer.stdout[max(start, 0) :].split())


def holds_aws(provider: Path, platform: str) -> bool:
    """Return whether Terraform could use this `hashicorp/aws` folder of a filesystem mirror, packed or unpacked."""
    if provider.is_symlink():  # Terraform does not follow links
        return False
    try:
        names = [path.name for path in provider.iterdir()]
    except OSError:
        return False

    def unpacked(version: Path) -> bool:
        return any((version / platform).glob("terraform-provider-aws*"))

    packed = re.compile(rf"terraform-provider-aws_(\d+\.\d+\.\d+)_{re.escape(platform)}\.zip")
    versions = [match[1] for name in names if (match := packed.fullmatch(name))]
    versions += [name for name in names if re.fullmatch(r"\d+\.\d+\.\d+", name) and unpacked(provider / name)]
    return any(AWS_AT_LEAST <= numbers(version) < AWS_BELOW for version in versions)


def usual_places() -> list[Path]:
    """Return where Terraform keeps plugins. They are also found below /, but later."""
    places = [Path.home() / ".terraform.d/plugins", Path.home() / ".local/share/terraform/plugins"]
    return [*places, Path(os.environ["TF_PLUGIN_CACHE_DIR"])] if os.environ.get("TF_PLUGIN_CACHE_DIR") else places


def walk(start: Path, seconds: float) -> Iterator[Path]:
    """Yield the folders below `start` with a `registry.terraform.io`, breadth first, for at most `seconds`."""
    deadline = time.monotonic() + seconds
    pending = deque([start])
    while pending and time.monotonic() < deadline:
        folder = pending.popleft()
        try:
            with os.scandir(folder) as listing:
                below = [entry.name for entry in listing if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        if "registry.terraform.io" in below:
            yield folder
        for name in below:
            path = folder / name
            if name not in NOT_SEARCHED and not name.startswith("pytest-of-") and path not in NOT_SEARCHED_AT:
                pending.append(path)


def is_trusted(mirror: Path) -> bool:
    """Return whether only root and this user can change its hashicorp/aws. A provider runs with the user's credentials.

    Others can add to a sticky folder, such as /tmp, so it is not trusted.
    """
    provider = mirror / AWS
    try:
        return all(map(only_ours, (provider, *provider.parents, *provider.rglob("*"))))
    except OSError:
        return False


def only_ours(path: Path) -> bool:
    found = path.lstat()
    is_closed = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid in (0, os.getuid()) and is_closed and not stat.S_ISLNK(found.st_mode)


def find_mirror(platform: str, places: Iterable[Path], start: Path, seconds: float) -> Path | None:
    """Find a folder with registry.terraform.io/hashicorp/aws: in `places`, then below `start`."""
    for place in chain(places, walk(start, seconds)):
        if holds_aws(place / AWS, platform):
            mirror = place.resolve()
            if is_trusted(mirror):
                return mirror
            print(f"Not used, since other users may change it: {mirror / AWS}", file=sys.stderr)
    return None


def write(path: Path, content: str, mode: int = 0o644) -> None:
    """Replace a file atomically, and only if it changes: others may be reading it."""
    if path.is_file() and path.read_text() == content and path.stat().st_mode & 0o777 == mode:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    unfinished.write_text(content)
    unfinished.chmod(mode)
    unfinished.replace(path)


def write_configuration(mirror: Path, platform: str, home: Path) -> Path:
    """Write the substitute and the CLI configuration below `home`. Returns the path of the configuration."""
    if importlib.util.find_spec("tf") is None:
        raise ProvidersError(
            "The Python package tf is not installed here: run `make setup`, then use .venv/bin/python."
        )
    substitute = home / "mirror" / ARCHIVE / SUBSTITUTE_VERSION / platform
    write(substitute / f"terraform-provider-archive_v{SUBSTITUTE_VERSION}_x5", WRAPPER, mode=0o755)
    # The wrapper reads these files.
    write(home / "python", sys.executable + "\n")
    write(home / "provider", f"{PROJECT / 'local_aws/offline/archive_provider.py'}\n")
    configuration = home / "terraform.rc"
    write(
        configuration,
        f"""\
# Written by local_aws/offline/terraform_providers.py: this machine cannot reach a provider registry.
disable_checkpoint = true

provider_installation {{
  filesystem_mirror {{
    path    = {quoted(mirror)}
    include = ["{AWS}"]
  }}
  filesystem_mirror {{
    path    = {quoted(home / "mirror")}
    include = ["{ARCHIVE}"]
  }}
  direct {{
    exclude = ["{AWS}", "{ARCHIVE}"]
  }}
}}
""",
    )
    return configuration


def quoted(path: Path) -> str:
    """Return a path as an HCL string."""
    return json.dumps(str(path), ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def read_decision(path: Path) -> Decision | None:
    try:
        return Decision(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def decide(
    terraform: Terraform, user_config: str | None, places: Iterable[Path], start: Path, seconds: float
) -> Decision:
    """Find out where providers come from. Raises ProvidersError if there are none."""
    error = terraform_gets_providers(terraform, user_config, seconds)
    if error is None:
        return Decision(user_config, describe(terraform), None)
    print("Terraform cannot download providers, so providers of this machine are used.", file=sys.stderr)
    mirror = find_mirror(terraform.platform, places, start, SEARCH_SECONDS)
    if mirror is None:
        lower, upper = ".".join(map(str, AWS_AT_LEAST)), ".".join(map(str, AWS_BELOW))
        raise ProvidersError(
            f"Terraform can neither download its providers nor is hashicorp/aws (>= {lower}, < {upper}, "
            f"{terraform.platform}) on this machine.\n"
            "Either give it access to registry.terraform.io (or to a mirror, in Terraform's CLI configuration), "
            "or run `terraform providers mirror ~/.terraform.d/plugins` where there is access, in a folder that "
            "requires hashicorp/aws, and copy ~/.terraform.d/plugins here, where only you and root can write.\n"
            f"terraform init said: {error[:600]}"
        )
    return Decision(user_config, describe(terraform), str(mirror))


def terraform_environment(
    *,
    home: Path = PROJECT / ".local/terraform",
    start: Path = Path("/"),
    places: Iterable[Path] | None = None,
    seconds: float = INIT_SECONDS,
) -> dict[str, str]:
    """Return the variables that terraform needs on this machine: none if it can download providers.

    Args:
        home: Folder of the written files and of the remembered decision.
        start: Folder that is searched for a provider.
        places: Folders that are searched before. Default: where Terraform keeps plugins.
        seconds: Limit of the attempt to download a provider.

    Raises:
        ProvidersError: There are no providers.
    """
    terraform = find_terraform()
    user_config = os.environ.get(CONFIG_VARIABLE) or None
    remembered = read_decision(home / "decision.json")
    if user_config == str(home / "terraform.rc"):  # this environment is in use already
        user_config = remembered.user_config if remembered else None
    if remembered is not None and remembered.holds(user_config, terraform):
        decision = remembered
    else:
        searched = usual_places() if places is None else places
        decision = decide(terraform, user_config, searched, start, seconds)
    if decision.mirror is None:
        environment = {}
    else:
        configuration = write_configuration(Path(decision.mirror), terraform.platform, home)
        environment = {CONFIG_VARIABLE: str(configuration)}
    # Last, so that a remembered decision has all its files.
    write(home / "decision.json", json.dumps(vars(decision), indent=2) + "\n")
    return environment


def main() -> int:
    try:
        environment = terraform_environment()
    except ProvidersError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in environment.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
