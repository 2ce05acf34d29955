-- The log in Postgres. Instants are microseconds since 2020-01-01Z; clock_timestamp() is read under the head's lock.

-- name: append
-- Write a run of records to one partition and wake its readers, in one statement: a client that freezes never holds the head. $3: instants in all.
with head as (
    update log_head set
        next_offset = next_offset + $2::int,
        last_stored = greatest((extract(epoch from clock_timestamp()) * 1000000)::bigint - 1577836800000000, last_stored + 1) + $3::bigint - 1
    where partition = $1::smallint
    returning next_offset - $2 as first_offset, last_stored - $3 + 1 as first_instant
),
written as (
    insert into log_record (partition, "offset", ts, append_id, key, value)
    select $1, first_offset + place - 1, first_instant + earlier, $4::uuid, key, value
    from head cross join unnest($5::bigint[], $6::bytea[], $7::bytea[]) with ordinality as given (earlier, key, value, place)
)
select first_offset, pg_notify('testamur_log', $1 || ':' || first_offset + $2) from head;

-- name: append_carried
-- The same for records that bring their `stored` with them ($5); $3: the last instant of them all.
with head as (
    update log_head set next_offset = next_offset + $2::int, last_stored = greatest(last_stored, $3::bigint)
    where partition = $1::smallint
    returning next_offset - $2 as first_offset
),
written as (
    insert into log_record (partition, "offset", ts, append_id, key, value)
    select $1, first_offset + place - 1, stored, $4::uuid, key, value
    from head cross join unnest($5::bigint[], $6::bytea[], $7::bytea[]) with ordinality as given (stored, key, value, place)
)
select first_offset, pg_notify('testamur_log', $1 || ':' || first_offset + $2) from head;

-- name: who_am_i
-- Which server process serves this connection.
select pid, backend_start from pg_stat_activity where pid = pg_backend_pid();

-- name: fence
-- End the server process that may still execute an append whose answer was lost; no row: it is gone already.
select pg_terminate_backend(pid, 2000) as gone from pg_stat_activity where pid = $1 and backend_start = $2;

-- name: find_append
-- Where an append begins, if it was committed; $2: a position that it cannot be below.
select min("offset") from log_record where partition = $1 and "offset" >= $2 and append_id = $3;

-- name: read
-- A run of records: the first whatever its size, then as many as stay within $4 bytes.
select "offset", ts, value from (
    select "offset", ts, value, sum(octet_length(value)) over (order by "offset") - octet_length(value) as earlier
    from (select "offset", ts, value from log_record where partition = $1 and "offset" >= $2 order by "offset" limit $3) run
) sized
where earlier < $4 order by "offset";

-- name: heads
-- The end of each partition.
select partition, next_offset from log_head;

-- name: end
-- The ends of partitions, and for each an instant that everything still to come is stored after.
select partition, next_offset, last_stored from log_head where partition = any($1::smallint[]);

-- name: tick
-- Make the time of partitions pass. They are locked in order, as by whoever else locks several.
with held as materialized (select partition from log_head where partition = any($1::smallint[]) order by partition for update)
update log_head head
set last_stored = greatest(head.last_stored, (extract(epoch from clock_timestamp()) * 1000000)::bigint - 1577836800000000)
from held where head.partition = held.partition
returning head.partition, head.next_offset, head.last_stored;

-- name: lock
-- One process makes the log, the others wait until it is made.
select pg_advisory_xact_lock($1);

-- name: identify
-- Make the log's uuid, if there is none.
insert into log_identity (log_id, kind, partitions) values ($1, 'postgres', $2) on conflict do nothing;

-- name: identity
-- Which log this database keeps, or knows the uuid of.
select log_id, kind, partitions from log_identity;

-- name: begin
-- Write record 0 of a partition, and its head.
with head as (
    insert into log_head (partition, log_id, next_offset, last_stored)
    values ($1::smallint, $2::uuid, 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint - 1577836800000000)
    on conflict do nothing
    returning last_stored
)
insert into log_record (partition, "offset", ts, append_id, key, value)
select $1, 0, last_stored, $2, 'genesis', $3 from head;
