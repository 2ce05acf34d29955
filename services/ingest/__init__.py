"""Clients' statements in: check, look up, append, answer what stands."""
