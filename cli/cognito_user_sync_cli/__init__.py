"""The command line `cognito-user-sync`."""
