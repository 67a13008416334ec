"""One file a Lambda function: parse the event, call one function, return."""

import gc

# While a function starts, boto3 makes tens of thousands of objects, none of them garbage, and Python would look through
# all of them in the middle of it: up to a tenth of the start (docs/benchmarks.md). It stays so: only rings of objects
# need the garbage collector, and a call leaves few.
gc.set_threshold(100_000)
