-- Configuration, the Postgres log and the projector's bookkeeping. Projected tables live in one schema per projection version (projections/*.sql);
-- readers see the active version through views of this schema. Instants are bigint microseconds since 2020-01-01Z; tenant_id leads every key of tenant data.

create table tenant (
    id int generated always as identity primary key,
    name text not null unique
);

create table api_key (
    tenant_id int not null references tenant,
    id text not null unique,
    name text not null,
    secret_hash bytea not null,            -- HMAC-SHA256 of the secret, keyed by TESTAMUR_SECRET
    scopes text[] not null,
    authority jsonb not null,              -- the xAPI agent that vouches for what this key sends
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (tenant_id, id)
);

-- The log on Postgres. The locked head row hands out offsets, so commit order is offset order and there are no gaps.
create table log_head (
    partition smallint primary key,
    log_id uuid not null,
    next_offset bigint not null,
    last_stored bigint not null
);

create table log_record (
    partition smallint not null,
    "offset" bigint not null,
    ts bigint not null,
    append_id uuid not null,               -- names one append, so that a lost answer to COMMIT can be settled
    key bytea not null,
    value bytea not null,
    primary key (partition, "offset")
);
alter table log_record alter column value set storage external;  -- never compressed, so never slow
alter table log_record set (toast_tuple_target = 4080);           -- a record of one statement stays in its row: half the writes

-- The uuid of the log, whichever implementation keeps it: made once, the first to arrive wins.
create table log_identity (
    only_one boolean primary key default true check (only_one),
    log_id uuid not null,
    kind text not null check (kind in ('postgres', 'kafka')),
    partitions smallint not null
);

create table projection (
    name text not null,
    version int not null,
    state text not null check (state in ('building', 'active', 'retired')),
    primary key (name, version)
);
create unique index projection_active on projection (name) where state = 'active';

create table projection_cursor (
    name text not null,
    version int not null,
    partition smallint not null,
    log_id uuid not null,
    epoch bigint not null default 0,
    owner uuid,
    lease_until timestamptz not null default '-infinity',
    position bigint not null default 0,     -- the next offset to fold
    last_stored bigint not null default 0,  -- everything stored at or before it is folded
    tail bytea,                             -- SHA-256 of the record before `position`: notices a log that was replaced
    conflicts bigint not null default 0,    -- how many losing copies were seen: moves when a waiting POST has to ask what stands
    halted text,                            -- why this partition stands still
    halted_at timestamptz,
    primary key (name, version, partition),
    foreign key (name, version) references projection on delete cascade
);

-- First and last instant of records of several statements, kept while Consistent-Through could fall between the two. Only logs of several partitions need it.
create table record_span (
    name text not null,
    version int not null,
    partition smallint not null,
    first bigint not null,
    last bigint not null,
    primary key (name, version, partition, last),
    foreign key (name, version) references projection on delete cascade
);

create table dead_letter (
    name text not null,
    version int not null,
    partition smallint not null,
    "offset" bigint not null,
    idx int not null,                       -- which statement of the record
    tenant_id int not null,
    statement_id uuid,
    ifi uuid,                               -- whose answers are incomplete because of it
    reason text not null,
    code_hash text not null,                -- the code that failed: another one tries again
    seen_at timestamptz not null default now(),
    primary key (name, version, partition, "offset", idx),
    foreign key (name, version) references projection on delete cascade
);
create index dead_letter_ifi on dead_letter (tenant_id, ifi);

-- The instant up to which everything stored can be seen, in the active version: the minimum over partitions of what is folded, lowered to just before
-- the first statement of any record it would cut. STABLE, so inside a statement it is of that statement's snapshot.
create function consistent_through() returns bigint language plpgsql stable as $$
declare
    active int;
    through bigint;
    lowered bigint;
begin
    select version into active from projection where name = 'statements' and state = 'active';
    select min(last_stored) into through from projection_cursor where name = 'statements' and version = active;
    loop
        select min(span.first) - 1 into lowered
        from projection_cursor cursor
        cross join lateral (
            select first from record_span
            where name = cursor.name and version = cursor.version and partition = cursor.partition and last > through
            order by last limit 1
        ) span
        where cursor.name = 'statements' and cursor.version = active and span.first <= through;
        exit when lowered is null;
        through := lowered;
    end loop;
    return through;
end $$;
