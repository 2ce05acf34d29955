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
    voided bigint,                  -- least seq of a void that is in force; null: stands
    flags smallint not null default 0,  -- what the sender left out or what must be replaced on the way out (services/core/splice.py)
    version text,                   -- the xAPI version to show when the sender gave none
    raw bytea,                      -- the sender's bytes
    primary key (tenant_id, id)
);
create index statement_seq on statement (tenant_id, seq);
create index statement_actor on statement (tenant_id, actor, seq) where actor is not null;
create index statement_verb on statement (tenant_id, verb, seq) where verb is not null;
create index statement_activity on statement (tenant_id, activity, seq) where activity is not null;
create index statement_registration on statement (tenant_id, registration, seq) where registration is not null;
create index statement_authority on statement (tenant_id, authority, seq) where authority is not null; -- statements/read/mine, a default scope

-- Agents other than the actor's own IFI that the `agent` filter matches: the object, and the members of groups in either place.
create table statement_agent (
    tenant_id int not null,
    agent bigint not null,
    seq bigint not null,
    id uuid not null,
    primary key (tenant_id, agent, seq, id)
);
create index statement_agent_id on statement_agent (tenant_id, id);

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
