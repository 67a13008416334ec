"""python -m tests.javascript: renews package-lock.json from package.json. `make lock` runs it."""

from __future__ import annotations

import subprocess

from tests.javascript import PACKAGES, installed

if __name__ == "__main__":
    javascript = installed()
    definition, lock = PACKAGES
    lock.unlink()
    # Without the addresses of the registry that this machine uses.
    options = ["--package-lock-only", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund", "--silent"]
    subprocess.run([javascript.node, javascript.npm, "install", *options], cwd=definition.parent, check=True)
