"""Contracts that several implementations keep, each under one suite."""
