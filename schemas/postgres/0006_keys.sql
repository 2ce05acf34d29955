-- API keys: a second secret while one is exchanged, an end, the last use, and how many requests a second.

alter table api_key
    add column former_hash bytea,               -- of the secret before the last rotation
    add column former_until timestamptz,
    add column expires_at timestamptz,
    add column last_used_at timestamptz,        -- to the hour
    add column rate double precision check (rate > 0);

-- What is left of the rates of keys that have one; a lost bucket is a full one, so it needs no write-ahead log.
create unlogged table api_key_rate (
    key text primary key,
    tokens double precision not null,
    granted int not null,                       -- what the last draw got
    at timestamptz not null
);
