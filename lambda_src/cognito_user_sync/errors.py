"""The error of every function for an invalid event."""


class InvalidEventError(Exception):
    """The event, the execution input or the message is invalid.

    The message names the field, and holds no attribute of a user.
    """
