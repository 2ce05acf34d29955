"""Why a goal that is not good is not: one honest sentence or two each, kept by hand beside the figures it explains."""

_LEARNERS = (
    "The goal was set by a prototype that kept two rows of totals for each learner. The statements projection alone costs what that whole "
    "prototype did; the learners projection (evidence by statement id, so that voids, copies and assurances may come in any order; names, "
    "search words and lines of transcripts) costs twice as much again, two thirds of it in Python and one third look-ups in the indexes of "
    "Postgres."
)

CAUSES: dict[str, str] = {
    "G1":
        "Reading strictly (no key twice, no number out of range, no broken text), which the goal's prototype left out, takes 0.7 of the limit; "
        "parsing itself 1.0, cutting the batch 0.3, the schema and the rules beyond it 1.0.",
    "G2":
        "Beside authentication, the check and the fingerprint (a quarter), a request makes its ids, a MAC'd position, an envelope and eight "
        "answer headers, each of which costs microseconds where the bare echo's whole request costs thirty.",
    "G3":
        "Both sides wait for the same event loop, and the durable one shares two cores with Postgres and the load generator.",
    "G4":
        "An append is one statement of Postgres, with its head row, its index and its notification, in another process; the file has none of "
        "these.",
    "G5":
        "The writer takes all that waits in one statement, but on two cores the load, the writer and Postgres share what sixteen single inserts "
        "had to themselves.",
    "G6":
        "One append is a round trip to another process, a transaction over three pages and its notification beside the one write and fdatasync of"
        " the file.",
    "G7": _LEARNERS,
    "G7c": _LEARNERS,
    "G8": _LEARNERS,
    "G9":
        "At best both wait for Postgres: the fold in runs spends most of its time in the same index look-ups, only without the round trips.",
    "G13":
        "The splice reads flags and writes id, stored, authority and version into each statement in Python; the limit is one call of orjson for "
        "the page.",
    "G14":
        "With 8 clients that wait for their answers, processes wait for one another's commits part of the time, and the load generator takes its "
        "share of the cores.",
    "G14k":
        "Twelve partitions make twelve small runs, each with its own transaction, where one partition makes one; the broker and the load "
        "generator take their share of the same cores.",
    "G16":
        "Each projection is rebuilt on its own, so that the log is read twice, and compared with the one in use row by row. " + _LEARNERS,
}
