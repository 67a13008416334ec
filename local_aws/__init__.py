"""AWS on a laptop: an emulator (ministack) patched where it differs from AWS in what this project relies on.

`client.LocalAws` starts it and talks to it; `python -m local_aws` does the same from a shell. The modules
that touch the emulator are imported by the server process alone, because the emulator reads its settings at
import. docs/local-aws.md lists what is patched and what still differs.
"""
