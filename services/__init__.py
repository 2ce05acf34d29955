"""Testamur: an event-sourced learner record store."""
