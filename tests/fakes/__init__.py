"""Stand-ins for AWS that the unit tests and the benchmarks share."""
