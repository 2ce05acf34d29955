"""Random histories of learners, rules and faults, and what must hold of every decision made in them."""
