"""Keeps a DynamoDB table of users in step with an Amazon Cognito user pool."""
