"""Why a goal that is not good is not: one honest sentence or two each, kept by hand beside the figures it explains."""

_LEARNERS = (
    "The goal was set by a prototype that kept two rows of totals for each learner. The statements projection alone costs what that whole "
    "prototype did; the learners projection (evidence by statement id, so that voids, copies and assurances may come in any order; names, "
    "search words and lines of transcripts) costs 1.7 times as much again, three fifths of it in Python and two fifths in Postgres, mostly "
    "look-ups in indexes."
)

CAUSES: dict[str, str] = {
    "G1":
        "Reading strictly (no key twice, no number out of range, no broken text), which the goal's prototype left out, takes 0.7 of the limit; "
        "parsing itself 1.0, cutting the batch 0.3, the schema and the rules beyond it 1.0.",
    "G2":
        "Of a request's 130 µs the strict check takes a fifth, the envelope and the append's book-keeping a sixth, the answer with its eight "
        "headers a seventh, the fingerprint a ninth; admission, ids, the position's MAC and counters are a few each, where the bare echo's whole "
        "request takes thirty.",
    "G4":
        "The writer appends about 40,000 records a second, as the prototype did by which the goal was set; on this machine the file takes 100,000"
        " where it took 62,000 then. Postgres writes a row, its index entry, the head row and a notification, in another process.",
    "G7": _LEARNERS,
    "G7c": _LEARNERS,
    "G8": _LEARNERS,
    "G9":
        "Both sides spend most of their time on the same look-ups and the same Python, and a run saves the round trips; those cost little on a "
        "local socket, and the spread shows how differently foreign load hurts the two sides.",
    "G13":
        "The splice reads flags and writes id, stored, authority and version into each statement in Python; the limit is one call of orjson for "
        "the page.",
    "G14":
        "The notes say what share of the cores that other work left was used; with 8 clients that wait for their answers, processes also wait for"
        " one another's commits.",
    "G14k":
        "Twelve partitions make twelve small runs, each with its own transaction in both projections, where one partition makes one; the broker "
        "and the load generator take their share of the same cores.",
    "G16":
        "Each projection is rebuilt on its own, so that the log is read twice, and compared with the one in use row by row. " + _LEARNERS,
}
