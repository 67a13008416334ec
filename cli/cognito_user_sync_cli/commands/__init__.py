"""The commands, one in each file: each parses its arguments, calls a module beside `commands/`, and prints."""
