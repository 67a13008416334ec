"""Errors of SendWelcome that prove that the welcome email was not sent.

After any other error the email may have been sent, so an operator has to decide. user_sync.asl.json retries only the
errors of this list.
"""

from __future__ import annotations

# Raised by the handler before it calls SES, or because SES did not accept the email.
_OF_HANDLER = frozenset(
    {
        "AccessDeniedError",
        "InvalidEventError",
        "MissingSettingError",
        "NotConsistentYetError",
        "CognitoRejectedError",
        "CognitoUnavailableError",
        "UnknownPlaceholderError",
        "UnusableUserError",
        "WelcomeNotSentError",
        "WelcomeRejectedError",
    }
)

# Lambda did not invoke the function: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
_NOT_INVOKED = frozenset(
    f"Lambda.{name}"
    for name in (
        "CodeArtifactUserDeletedException",
        "CodeArtifactUserPendingException",
        "EC2AccessDeniedException",
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "ENILimitReachedException",
        "ENINotReadyException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "InvalidRuntimeException",
        "InvalidSecurityGroupIDException",
        "InvalidSubnetIDException",
        "InvalidZipFileException",
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "RequestTooLargeException",
        "ResourceConflictException",
        "ResourceNotFoundException",
        "ResourceNotReadyException",
        "SubnetIPAddressLimitReachedException",
        "TooManyRequestsException",
        "UnsupportedMediaTypeException",
    )
)

# Lambda's Python runtime did not call the handler: it could not load the code, or read the event.
# https://github.com/aws/aws-lambda-python-runtime-interface-client/blob/main/awslambdaric/bootstrap.py
_NOT_CALLED = frozenset(
    f"Runtime.{name}"
    for name in (
        "HandlerNotFound",
        "ImportModuleError",
        "MalformedHandlerName",
        "UnmarshalError",
        "UserCodeSyntaxError",
    )
)

# Step Functions has no permission to invoke the function.
_NOT_ALLOWED = frozenset({"States.Permissions"})

NOT_SENT = _OF_HANDLER | _NOT_INVOKED | _NOT_CALLED | _NOT_ALLOWED
