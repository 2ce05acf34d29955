"""Why a goal that is not good is not: one honest sentence or two each, kept by hand beside the figures it explains."""

_LEARNERS = (
    "The goal was set by a prototype that kept two rows of totals for each learner. The statements projection alone costs what that whole "
    "prototype did; the learners projection (evidence by statement id, so that voids, copies and assurances may come in any order; names, "
    "search words and lines of transcripts) costs as much again. Three fifths of that is Python: a statement's facts take a third of it, sending "
    "rows and reading answers another; in Postgres it is evidence with its two indexes, then entries. The corpus repeats people and activities "
    "as the sample world does: half of all statements are the first about their learner and their activity."
)

CAUSES: dict[str, str] = {
    "G1":
        "Reading strictly (no key twice, no number out of range, no broken text), which the goal's prototype left out, takes 0.7 of the limit; "
        "parsing itself 1.0, cutting the batch 0.3, the schema and the rules beyond it 1.0. JSON that is not written as compactly as it could be, with "
        "blanks or escaped slashes, costs up to one limit more: equality no longer proves that nothing was lost, so colons are counted in both texts, "
        "and long numbers and escapes are looked for.",
    "G2":
        "Called in a loop without a server the application takes about 60 µs: half of it reads, checks and fingerprints the statement, an eighth is the "
        "envelope and the append's book-keeping; admission, the position's MAC, the answer's headers and counters are a few µs each. In the server, with "
        "64 requests under way and the client on the other core, the same work takes more than half as much again; the bare echo takes thirty in all.",
    "G4":
        "Postgres takes 10 to 13 µs a record in its own process (the row, its index entry, the write-ahead log), the writer 4.5 to encode it and 4 to keep "
        "account of it, and the two take turns, as all 64 wait for the same batch; the file's side takes 6 to 8 in all.",
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
        "Each projection is rebuilt on its own, so that the log is read and parsed twice; comparing every column of every row of two versions takes "
        "a tenth. Indexes that only readers use are made after the load, when rows no longer come one by one. " + _LEARNERS,
}
