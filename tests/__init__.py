"""Tests of Testamur: rules, each under a name that is its sentence."""
