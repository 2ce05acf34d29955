"""Who calls, and how often: API keys, bearer tokens and their issuers, rate limits."""
