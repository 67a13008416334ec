"""The errors of SendWelcome after which the welcome email was certainly not sent.

After any other error it may have been sent: the execution waits for an operator. user_sync.asl.json retries errors of
this list only.
"""

from __future__ import annotations

# Of the handler, which raises all of these before it calls SES, or because SES did not accept the email.
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

# Of Lambda, which did not invoke the function: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
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

# Of Lambda's Python runtime, which did not call the handler: its code could not be loaded, or its event not be read.
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

# Of Step Functions, which may not invoke the function.
_NOT_ALLOWED = frozenset({"States.Permissions"})

NOT_SENT = _OF_HANDLER | _NOT_INVOKED | _NOT_CALLED | _NOT_ALLOWED
