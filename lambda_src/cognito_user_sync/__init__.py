"""Syncs the users of an Amazon Cognito user pool to a DynamoDB table."""
