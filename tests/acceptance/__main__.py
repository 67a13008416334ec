"""python -m tests.acceptance [clean]: run the acceptance tests in an AWS account, or clean up after interrupted runs.

It asks for confirmation of the account (ACCEPTANCE_ACCOUNT), and cleans up before it runs the tests.
"""

from __future__ import annotations

import os
import sys

from tests.acceptance.account import Account, AccountError
from tests.acceptance.run import clean_up

# Terraform's own, which would change what is tested.
FOREIGN = ("TF_VAR_", "TF_CLI_ARGS", "TF_WORKSPACE", "TF_DATA_DIR", "TF_REATTACH_PROVIDERS")


def main(arguments: list[str]) -> int:
    only_clean = arguments == ["clean"]
    try:
        account = Account.from_environment(sends_mail=not only_clean)
    except AccountError as error:
        print(error, file=sys.stderr)
        return 2
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    # Terraform's provider reads the same region as boto3, also where only a profile names it.
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = account.region
    problems = clean_up(account)
    if problems:
        print("\n".join(problems), file=sys.stderr)
    if only_clean:
        return 1 if problems else 0
    # In place of this process, so that an interrupt reaches pytest alone, and it cleans up.
    command = ["-m", "pytest", "-p", "no:terraform", "-p", "no:hypothesispytest", "-s", "-v", "-x"]
    return os.execv(sys.executable, [sys.executable, *command, "tests/acceptance", "--on-aws", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
