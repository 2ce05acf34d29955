"""xAPI reads and the domain API."""
