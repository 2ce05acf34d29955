"""Every contract that two parties share."""
