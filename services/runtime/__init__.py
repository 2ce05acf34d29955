"""How any service starts, stops, talks and reports."""
