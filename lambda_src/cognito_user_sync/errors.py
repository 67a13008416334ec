"""The error of every function whose event is invalid."""


class InvalidEventError(Exception):
    """The event, execution input or message is not what Cognito or this module sends.

    The message names the field. It repeats no attribute of a user.
    """
