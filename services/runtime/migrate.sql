-- The migrator's bookkeeping.

-- name: lock
-- Wait until nobody else migrates this database.
select pg_advisory_lock($1);

-- name: bookkeeping
-- Make the schema and the list of migrations.
do $$ begin
    if to_regclass('testamur.schema_version') is null then
        create schema if not exists testamur;
        create table testamur.schema_version (version int primary key, name text not null, applied_at timestamptz not null default now());
    end if;
end $$;

-- name: applied
-- The migrations applied.
select version from testamur.schema_version;

-- name: record
-- Remember a migration.
insert into testamur.schema_version (version, name) values ($1, $2);

-- name: search_path
-- Set where unqualified names are, until the end of the transaction, and return where they were.
with before as materialized (select current_setting('search_path') as path)
select path from before where set_config('search_path', $1, true) is not null;

-- name: has_versions
-- Whether a projection has any version.
select exists (select from testamur.projection where name = $1);

-- name: add_version
-- Remember a version of a projection.
insert into testamur.projection (name, version, state, fingerprint) values ($1, $2, 'building', $3);

-- name: in_use
-- The versions in use and what they were made with; also of a database to which the migration that keeps this was not applied yet.
select name, version, to_jsonb(projection) ->> 'fingerprint' as fingerprint from testamur.projection where state = 'active' order by name desc;

-- name: activate
-- Make a version the active one.
update testamur.projection set state = 'active' where name = $1 and version = $2;

-- name: ensure_cursors
-- A cursor for each partition of the log. Those that are there are left out rather than met as conflicts: that would wait for whoever folds them now.
insert into testamur.projection_cursor (name, version, partition, log_id)
select $1, $2, n, $3 from generate_series(0, $4::int - 1) n
where not exists (select from testamur.projection_cursor c where c.name = $1 and c.version = $2 and c.partition = n)
on conflict do nothing;

-- name: guard_version
-- Row-level security for the tables of a version, where it is in force.
select testamur.guard_version($1::name);

-- name: guard_views
-- Who may read through the views.
select testamur.guard_views();
