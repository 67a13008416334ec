"""One file per Lambda function: parse the event, call one function, return."""

import gc

# While a function starts, boto3 makes tens of thousands of objects, none of them garbage. Searching them takes up to a
# tenth of the start (docs/benchmarks.md). The threshold also applies to invocations: the garbage collector is needed
# for reference cycles only, and an invocation leaves few.
gc.set_threshold(100_000)
