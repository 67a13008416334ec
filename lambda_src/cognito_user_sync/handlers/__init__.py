"""One file a Lambda function: parse the event, call one function, return."""
