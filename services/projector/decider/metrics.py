"""What deciders count, for Prometheus."""
from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter("testamur_decisions", "Decisions committed, by the kind of matter and the state.", ("kind", "state"))
JUDGED = Counter("testamur_decider_learners", "Learners taken from the queue.")
SKIPPED = Counter("testamur_decider_skipped", "Learners of whom nothing had to be judged.")
AGAIN = Counter("testamur_decider_again", "Learners left for later, because somebody else decides about them or their links changed meanwhile.")
FAILED = Counter("testamur_decider_failed", "Learners left in the queue because judging them raised an error.")
UNCONFIRMED = Counter("testamur_decisions_unconfirmed", "Decisions whose append the log did not confirm.")
APART = Counter("testamur_decider_apart", "Learners set apart to be judged alone, for their many statements or because a batch failed.")
RETRIES = Counter("testamur_decider_retries", "Batches begun again after a passing error.")
BATCHES = Histogram("testamur_decider_batch_seconds", "Time to decide about a batch of learners.", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5))
QUEUE = Gauge("testamur_decider_queue", "Rows that wait, at most 100,000 of them counted.")
OLDEST = Gauge("testamur_decider_oldest_seconds", "By how much what is folded is past the row that waits longest.")
