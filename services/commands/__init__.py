"""The commands of `testamur`, one a file; services/cli.py puts them together."""
