"""What all services agree on: pure code, no socket, no clock, no randomness."""
