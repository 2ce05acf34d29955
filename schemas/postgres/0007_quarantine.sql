-- Statements that are not valid xAPI, set aside for keys that ask for it: plain rows, they are no records of the log until they are corrected and sent on.

alter table api_key add column quarantine boolean not null default false;  -- whether what is wrong with one statement costs only that one

create table quarantined (
    tenant_id int not null references tenant,
    id uuid not null,            -- a keyed hash of who sent it, how and what, so that the same again is the same row
    statement_id uuid not null,  -- the id it has, or was given in the answer: it is stored under no other
    credential text not null,
    authority json not null,     -- it, the scopes and the version are those of the request
    scopes text[] not null,
    xapi text not null,
    received bigint not null,    -- by the clock of the server that took it
    raw bytea not null,          -- as it was sent
    sent text[] not null,        -- the digests of the content of its attachments that came along and is kept
    faults json not null,        -- an array of objects with `pointer` and `detail`
    bytes int not null generated always as (octet_length(raw)) stored,
    redriven bigint,             -- when it was sent on
    redriven_by text,            -- with which key
    primary key (tenant_id, id)
);
create index quarantined_waiting on quarantined (tenant_id, received, id) include (bytes) where redriven is null;
create index quarantined_redriven on quarantined (tenant_id, received, id) where redriven is not null;
