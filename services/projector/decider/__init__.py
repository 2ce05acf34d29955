"""Deciding: whoever was woken is judged at a moment that all partitions have passed, and what the ledger lacks is appended to the log as records.

Any number of deciders may run, crash, freeze and repeat themselves: locks on every IFI of a learner, the table of decisions under way, and the acceptance of
the fold make each change happen once.
"""
