-- The searchable store, in the schema of its version. Keys of actors, verbs, activities and authorities are 64-bit hashes (services/core/keys.py).

create table statement (
    tenant_id int not null,
    id uuid not null,
    seq bigint not null,            -- NO_SEQ (2^63-1) for a phantom: a void's target that is not there yet
    fp bytea,                       -- fingerprint of what it says; null for a phantom
    actor bigint,                   -- the actor's own IFI
    verb bigint,
    activity bigint,                -- the object, when it is an activity
    registration uuid,
    authority bigint,
    voiding uuid,                   -- the target, when this is a voiding statement
    refers uuid,                    -- the target, when the object is a StatementRef: of voiding statements too
    voided bigint,                  -- least seq of a void that is in force; null: stands
    flags smallint not null default 0,  -- what the sender left out or what must be replaced on the way out (services/core/splice.py)
    version text,                   -- the xAPI version to show when the sender gave none
    raw bytea,                      -- the sender's bytes
    primary key (tenant_id, id)
) with (toast_tuple_target = 4080); -- half a page: most statements are about as long as what Postgres would compress otherwise, which costs as much as all indexes
create index statement_seq on statement (tenant_id, seq);
create index statement_actor on statement (tenant_id, actor, seq) where actor is not null;
create index statement_verb on statement (tenant_id, verb, seq) where verb is not null;
create index statement_activity on statement (tenant_id, activity, seq) where activity is not null;
create index statement_registration on statement (tenant_id, registration, seq) where registration is not null;
create index statement_authority on statement (tenant_id, authority, seq) where authority is not null; -- statements/read/mine, a default scope
create index statement_refers on statement (tenant_id, refers) where refers is not null;

-- Agents and groups, besides those in the statement's own columns, that it is found by. Wide columns first, narrow ones first in the key: no padding.
create table statement_agent (
    agent bigint not null,
    seq bigint not null,
    tenant_id int not null,
    related boolean not null,       -- false: the object, and members of groups there or in the actor; true: wherever else `related_agents` looks
    primary key (tenant_id, related, agent, seq)
);

-- Activities besides the object that it is found by with `related_activities`.
create table related_activity (
    activity bigint not null,
    seq bigint not null,
    tenant_id int not null,
    primary key (tenant_id, activity, seq)
);

-- The keys of the statements that a StatementRef leads to, one after the other: whoever refers to what matches, matches (xAPI Communication 2.1.3).
create table statement_via (
    key bigint not null,
    seq bigint not null,            -- of the statement that refers
    whole bigint not null,          -- the greatest `seq` on the way to the one with this key, itself included: from there on it is reached
    tenant_id int not null,
    kind smallint not null,         -- which parameter the key answers (services/core/statement_keys.py: Via)
    hops smallint not null,         -- how far it is, voided or not
    primary key (tenant_id, kind, key, seq, hops)
);
create index statement_via_seq on statement_via (tenant_id, seq);

-- One row for each voiding statement that stands, whoever sent it; only the target says which are in force.
create table void (
    tenant_id int not null,
    target uuid not null,
    voiding uuid not null,
    seq bigint not null,
    authority bigint not null,
    trusted boolean not null,       -- its record carries lrs:void
    primary key (tenant_id, target, voiding)
);
create index void_voiding on void (tenant_id, voiding);

create table authority (
    tenant_id int not null,
    key bigint not null,
    agent bytea not null,           -- JSON, as spliced into statements
    seq bigint not null,            -- of the first statement with it: two credentials may describe one authority in different words
    primary key (tenant_id, key)
);

-- Copies that lost: another statement with their id and other content is earlier in the log.
create table conflict (
    tenant_id int not null,
    id uuid not null,
    seq bigint not null,
    fp bytea not null,
    stands bigint not null,
    primary key (tenant_id, id, seq)
);

-- What activities are: one row for each definition of each activity ever sent with the right to define, by all copies of all statements. An activity
-- is what its rows make together, in the order of (day, seq, hash): docs/adr/0008.
create table definition (
    tenant_id int not null,
    activity uuid not null,         -- 128-bit hash of its IRI
    hash uuid not null,             -- of the definition
    day int not null,               -- on which it was last sent: whole days since 2020
    seq bigint not null,            -- of the statement that sent it first
    definition bytea not null,      -- JSON, its members sorted (services/core/definitions.py: text_of)
    primary key (tenant_id, activity, hash)
);
create index definition_latest on definition (tenant_id, activity, day, seq, hash);
