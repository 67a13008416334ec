"""The stand-ins for AWS and Lambda that most unit tests use."""

from tests.stand_ins.answers import Answer, Response, refusal
from tests.stand_ins.carriers import FakeAws
from tests.stand_ins.clock import FakeContext

__all__ = ["Answer", "FakeAws", "FakeContext", "Response", "refusal"]
