"""Real servers for tests: started once for each session, or taken from the environment."""
