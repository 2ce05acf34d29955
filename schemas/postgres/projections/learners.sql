-- Who is who, evidence, transcripts, programmes and the ledger, in the schema of its version. Keys are 128-bit hashes as uuid (services/core/keys.py).

-- One row for each IFI ever named as an actor or in a link, by copies that fell too.
create table ifi (
    tenant_id int not null,
    key uuid not null,              -- keyed hash of tenant and identity; also the learner id of someone who has only this IFI
    identity text not null,         -- canonical identity; the least of a set names the learner
    agent text not null,            -- JSON of the xAPI agent with this IFI alone (an mbox once one was seen, else its sha1sum)
    has_mbox boolean not null,
    learner uuid not null,
    linked boolean not null,        -- whether a link ever named it, in force or not; if none did, it is a learner by itself
    name text,                      -- of the statement with the greatest seq that gave one
    name_seq bigint not null default -1,
    folded text not null,           -- name and identifiers, without case and accents, for `q` (services/core/search_text.py)
    grams int[] not null,           -- trigrams of `folded`
    primary key (tenant_id, key)
) with (fillfactor = 80);
create index ifi_learner on ifi (tenant_id, learner);
create index ifi_grams on ifi using gin (grams);

-- A learner's existence, and the lock of the transcript of one who may have several IFIs.
create table learner (
    tenant_id int not null,
    id uuid not null,
    primary key (tenant_id, id)
);

create table link (
    tenant_id int not null,
    id uuid not null,
    a uuid,                         -- IFI keys; null while only the unlink is here, or for a placeholder
    b uuid,
    agents jsonb,
    reason text,
    by jsonb,
    linked bigint,                  -- least seq of a link record
    unlinked bigint,                -- least seq of an unlink record
    primary key (tenant_id, id)
);
create index link_a on link (tenant_id, a);
create index link_b on link (tenant_id, b);

-- One row for each statement id: the rendezvous of its copies, its voids and the assurances of others.
create table evidence (
    tenant_id int not null,
    statement_id uuid not null,
    seq bigint not null,            -- NO_SEQ for a phantom
    ifi uuid,                       -- null: nobody's (no IFI, a placeholder, no activity, a phantom)
    activity uuid,
    at bigint,                      -- event time: min(timestamp, stored)
    authority bigint,
    voiding uuid,                   -- the target, when it is a voiding statement: such a one cannot be voided
    voided bigint,                  -- least seq of a void in force
    assured smallint,               -- the greatest level that others' trusted, standing assurances give it; null: none
    class smallint,                 -- services/core/evidence.py: REGISTERED …
    facts bytea,                    -- services/core/evidence.py: Facts
    primary key (tenant_id, statement_id)
);
create index evidence_fold on evidence (tenant_id, ifi, activity, at, seq) where ifi is not null;

-- One row for each voiding statement that stands, whoever sent it; only the target says which are in force.
create table void (
    tenant_id int not null,
    target uuid not null,
    voiding uuid not null,
    seq bigint not null,
    authority bigint not null,
    trusted boolean not null,
    primary key (tenant_id, target, voiding)
);
create index void_voiding on void (tenant_id, voiding);

-- A trusted statement that vouches for another one; it counts while it stands itself.
create table assurance (
    tenant_id int not null,
    target uuid not null,
    assuring uuid not null,
    seq bigint not null,
    level smallint not null,
    primary key (tenant_id, target, assuring)
);
create index assurance_assuring on assurance (tenant_id, assuring);

create table activity (
    tenant_id int not null,
    key uuid not null,
    iri text not null,
    name text,
    name_seq bigint not null default -1, -- of the statement that named it last
    type text,
    type_seq bigint not null default -1, -- of the statement that typed it last
    primary key (tenant_id, key)
) with (fillfactor = 80);

-- Summaries of blocks of at most 256 evidence rows, in event order, of (IFI, activity) pairs that outgrew one block. A cache of `evidence`: its
-- boundaries depend on the order of arrival, so it is not part of the projection's checksum.
create table block (
    tenant_id int not null,
    ifi uuid not null,
    activity uuid not null,
    at bigint not null,             -- where it begins: (at, seq); it ends where the next one begins
    seq bigint not null,
    n int not null,                 -- evidence rows in it, voided ones included
    summary bytea not null,         -- services/core/transcript.py: Summary of those that stand
    primary key (tenant_id, ifi, activity, at, seq)
);

-- One line of a transcript, folded.
create table entry (
    tenant_id int not null,
    learner uuid not null,
    activity uuid not null,
    status text not null,
    first_at bigint not null,
    line bytea not null,            -- services/core/transcript.py: Line
    primary key (tenant_id, learner, activity)
) with (fillfactor = 90);

create table course (
    tenant_id int not null,
    activity uuid not null,
    seq bigint not null,            -- every description is kept: known_at chooses
    iri text not null,
    body bytea not null,            -- JSON
    primary key (tenant_id, activity, seq)
);

-- One row for each publication of a programme, those that do not count too.
create table programme (
    tenant_id int not null,
    seq bigint not null,
    iri text not null,
    slug text not null,
    version int not null,
    accepted boolean not null,      -- its version is above that of every accepted one before it, in whatever partition
    effective bigint,               -- an instant; null: at once
    retired bigint,                 -- least seq of a retirement after it
    title text not null,
    rule text not null,             -- SHA-256 of the rule, in hex
    keys bigint[] not null,         -- what wakes it (services/core/rules/wake_keys.py), sorted, but for units of its cmi5 courses; none if it does not count
    courses uuid[] not null,        -- its cmi5 courses, whose descriptions say by what else it is woken
    award_keys bigint[] not null,   -- what its credentials wake
    body jsonb not null,            -- schemas/envelope.py: ProgrammeBody
    primary key (tenant_id, seq)
);
create index programme_iri on programme (tenant_id, iri, version);

-- Every retirement: a publication that is folded later may have been stored before it.
create table retirement (
    tenant_id int not null,
    iri text not null,
    seq bigint not null,
    primary key (tenant_id, iri, seq)
);

-- The IFIs that records of the ledger name, and the lock under which what is said of one is judged.
create table ledger (
    tenant_id int not null,
    ifi uuid not null,
    primary key (tenant_id, ifi)
);

-- One row for each record that says something of an award: decisions, and revocations by hand.
create table decision (
    tenant_id int not null,
    seq bigint not null,
    id uuid not null,               -- of a revocation by hand the batch id of its record
    kind text not null,             -- programme, course
    matter text not null,           -- the IRI of the programme or of the activity
    ifi uuid not null,
    n int not null,                 -- which award of this IFI in this matter
    k int not null,                 -- which entry of the award; 0: a revocation by hand that had no effect
    state text not null,            -- issued, updated, expiring, suspended, reinstated, expired, revoked
    accepted boolean not null,      -- services/core/ledger.py
    since bigint not null,
    valid_until bigint,
    version int not null,           -- of the programme; of a course 0
    rule text not null,
    status text,                    -- of a course: passed, completed
    known_at bigint not null,
    reason text,
    body jsonb not null,            -- schemas/envelope.py: DecisionBody, RevocationBody
    primary key (tenant_id, seq)
);
create index decision_ledger on decision (tenant_id, ifi, kind, matter, n, k);
create index decision_id on decision (tenant_id, id);

-- One row for each award, as its accepted entries leave it.
create table award (
    tenant_id int not null,
    ifi uuid not null,
    kind text not null,
    matter text not null,
    n int not null,
    k int not null,                 -- of the last entry
    state text not null,            -- of the last entry that is no reminder; an `updated` leaves a suspended one suspended
    since bigint not null,
    valid_until bigint,
    ended bigint,                   -- from when on it holds no more: the since of the entry that closed it
    version int not null,
    rule text not null,
    status text,
    reminded bigint,                -- the latest instant of which a reminder was given
    issued_seq bigint not null,
    last_seq bigint not null,
    closed boolean not null,        -- expired or revoked
    credential uuid,                -- null: the matter awards none
    inputs jsonb not null,          -- of the last entry that says since when it is held
    primary key (tenant_id, ifi, kind, matter, n)
);
create index award_credential on award (tenant_id, credential) where credential is not null;
create index award_matter on award (tenant_id, kind, matter, ifi);
create index award_issued on award (tenant_id, ((issued_seq & 255)), issued_seq) where credential is not null; -- those of a partition, in order

-- Revocations by hand that closed an award.
create table revocation (
    tenant_id int not null,
    seq bigint not null,
    kind text not null,
    matter text not null,
    ifi uuid not null,
    n int not null,
    primary key (tenant_id, seq)
);
create index revocation_of on revocation (tenant_id, ifi, kind, matter);

-- Which run last changed what wakes anybody (programmes and courses): what workers remember of these holds while this stands. Depends on runs, so it is not
-- part of the projection's checksum.
create table waking (
    tenant_id int primary key,
    changed uuid not null           -- its mark
);
