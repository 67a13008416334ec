"""The sections of `status`, one function for each."""
