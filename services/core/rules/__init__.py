"""Rules: what a programme asks for, and whether a learner has it. Pure: facts, awards and an instant in, an outcome out."""
