-- Documents of xAPI's State and Profile resources: plain rows, written by compare-and-set and read at once; they are no records of the log.
-- Texts of clients may be longer than an index takes, so the key holds their hashes; the texts stand beside them.

create table document (
    tenant_id int not null references tenant,
    resource text not null check (resource in ('state', 'activity profile', 'agent profile')),
    agent uuid not null,         -- the keyed hash of the agent's identity, as in the projection of learners; all zeros in an activity's profile
    activity uuid not null,      -- the hash of the activity's IRI; all zeros in an agent's profile
    registration text not null,  -- of a state; empty: none
    name uuid not null,          -- the hash of `id`
    id text not null,            -- the stateId or profileId
    agent_ifi text,
    activity_id text,
    content bytea not null,
    content_type text not null,  -- as it was sent
    etag text not null,          -- SHA-1 of the content, in hex
    version bigint not null default 1,
    updated bigint not null,     -- when it was stored or changed, by the clock of this server
    primary key (tenant_id, resource, agent, activity, registration, name)
);

-- The current instant. Not that of the transaction's beginning: whoever waited for a lock wrote after the one waited for.
create function clock_instant() returns bigint language sql volatile as $$
    select (extract(epoch from clock_timestamp() - timestamptz '2020-01-01 00:00:00+00') * 1000000)::bigint
$$;
