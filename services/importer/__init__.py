"""Statements from files into a server, over HTTP: used by `testamur import` and by the demo."""
