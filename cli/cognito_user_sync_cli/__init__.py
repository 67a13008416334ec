"""`cognito-user-sync`: what an operator types."""
