"""The local AWS: ministack, an AWS emulator, with patches where it differs from AWS in what this project uses.

`client.LocalAws` starts it and talks to it; `python -m local_aws` does the same from a shell. Only the server process
imports the modules that use the emulator, because the emulator reads its settings at import. docs/local-aws.md lists
the patches and the remaining differences.
"""
