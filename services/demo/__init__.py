"""The sample world and its data, as package data."""
