-- What belongs to deciding and to no version of a projection: whom to evaluate again and when, and decisions on their way into the log. Written by the fold
-- of the learners' version in use and by deciders. Instants are microseconds since 2020; keys are those of services/core/rules/wake_keys.py.

-- Evaluate this IFI's learner again in whatever this fact key concerns, once all up to `due` is folded.
create table wake (
    tenant_id int not null,
    ifi uuid not null,
    key bigint not null,         -- 0: the course `activity`; -1: everything
    activity uuid not null,      -- all zeros: none
    due bigint not null,
    at bigint,                   -- the earliest event time, if nothing happened but new statements; null: something else did
    cause uuid,                  -- a statement, link or decision
    primary key (tenant_id, ifi, key, activity, due)
) with (autovacuum_vacuum_scale_factor = 0.05);
create index wake_due on wake (tenant_id, due);

-- The same for every learner, page by page.
create table sweep (
    tenant_id int not null,
    id bigint generated always as identity,
    due bigint not null,
    keys bigint[],               -- null, with `activities`: everything
    activities uuid[],           -- courses
    after uuid,                  -- the last learner woken
    primary key (tenant_id, id)
);

-- When time alone may change what a learner has in a matter.
create table timer (
    tenant_id int not null,
    learner uuid not null,
    kind text not null,
    matter text not null,
    at bigint not null,
    primary key (tenant_id, learner, kind, matter)
);
create index timer_at on timer (at);

-- Decisions made and not yet both folded and passed by Consistent-Through: until then nobody decides about these IFIs.
create table under_way (
    tenant_id int not null references tenant,
    id uuid not null,
    ifis uuid[] not null,        -- all of the learner
    key bytea not null,          -- of the record of the log, as all that follows
    partition smallint not null,
    value bytea not null,
    made timestamptz not null default clock_timestamp(),
    sent timestamptz,            -- when it was appended last; null: never
    folded bigint,               -- its seq, once the version in use has folded it
    primary key (tenant_id, id)
);
create table under_way_ifi (
    tenant_id int not null,
    ifi uuid not null,
    id uuid not null,
    primary key (tenant_id, ifi, id),
    foreign key (tenant_id, id) references under_way on delete cascade
);
create index under_way_ifi_id on under_way_ifi (tenant_id, id);

-- Who awards, other than the tenant itself.
create table issuer (
    tenant_id int not null references tenant,
    slug text not null,
    name text not null,
    url text,
    email text,
    image text,
    primary key (tenant_id, slug)
);

create table credential_visibility (
    tenant_id int not null references tenant,
    credential uuid not null,
    public boolean not null,
    primary key (tenant_id, credential)
);
