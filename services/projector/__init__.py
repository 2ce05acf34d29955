"""The only writer of the projected tables."""
