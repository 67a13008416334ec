"""Measures the time and the cost of the module, on the local AWS and in simulated time, and of common alternatives."""
