"""Why a goal that is not good is not: one honest sentence or two each, kept by hand beside the figures it explains."""

_LEARNERS = (
    "The goal was set by a prototype that kept two rows of totals for each learner. The statements projection alone costs what that whole "
    "prototype did; the learners projection (evidence by statement id, so that voids, copies and assurances may come in any order; names, "
    "search words and lines of transcripts) costs as much again. Three fifths of the whole is Python: a fifth of that reads the log and parses, a third "
    "finds out what statements say to both projections, the rest folds lines, sends rows and reads answers. In Postgres a third is the rows of statements "
    "with their indexes, a fifth those of their five related activities, a third the learners: evidence with its two indexes, then entries. The corpus "
    "repeats people and activities as the sample world does: half of all statements are the first about their learner and their activity."
)

CAUSES: dict[str, str] = {
    "G1":
        "Reading strictly (no key twice, no number out of range, no broken text), which the goal's prototype left out, takes 0.7 of the limit; "
        "parsing itself 1.0, cutting the batch 0.3, the schema and the rules beyond it 1.0. JSON that is not written as compactly as it could be, with "
        "blanks or escaped slashes, costs up to one limit more: equality no longer proves that nothing was lost, so colons are counted in both texts, "
        "and long numbers and escapes are looked for.",
    "G2":
        "Called alone in a loop its parts add up to 40 µs (11 check the statement, 8 make its fingerprint, 9 are the envelope and the append's book-keeping), "
        "called whole the application takes 55, in the server 90 besides the echo's thirty: the code of one request is broad, and each part is slower when "
        "others ran in between. Reading, checking and fingerprinting alone bring the ratio to about 2.3.",
    "G4":
        "Postgres takes 10 to 13 µs a record in its own process (the row, its index entry, the write-ahead log), the writer 4.5 to encode it and 4 to keep "
        "account of it, and the two take turns, as all 64 wait for the same batch; the file's side takes 6 to 8 in all. Two batches under way at once, values "
        "sent as one text instead of many, and larger buffers of Postgres were tried: none gained anything on two threads of one core.",
    "G5":
        "What batching saves is one transaction for each record, and the cheaper these are the less there is to save: the day before, when one INSERT each "
        "came to 5,100 a second, the ratio was 7.4.",
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
