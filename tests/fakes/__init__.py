"""Fakes of AWS that the unit tests and the benchmarks share."""
