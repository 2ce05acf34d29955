-- The log in Postgres as the one who carries it away sees it.

-- name: lock
-- One copy at a time, as long as its connection lasts.
select pg_try_advisory_lock($1);

-- name: identity
-- Which log this database keeps, or knows the uuid of.
select log_id, kind, partitions from log_identity;

-- name: ends
-- How many records each partition has.
select partition, next_offset from log_head order by partition;

-- name: records
-- A run of records: the first whatever its size, then as many as stay within $4 bytes.
select "offset", ts, key, value from (
    select "offset", ts, key, value, sum(octet_length(value)) over (order by "offset") - octet_length(value) as earlier
    from (select "offset", ts, key, value from log_record where partition = $1 and "offset" >= $2 order by "offset" limit $3) run
) sized
where earlier < $4 order by "offset";

-- name: users
-- Who else is connected and may write to the log.
select application_name from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name like 'testamur%'
order by 1;

-- name: close
-- Write a tick ($2) to each partition, stored after everything in any of them: so a record says how far time has passed, and whatever partition a learner's
-- next statement goes to, it comes after the ones before. They are locked in order, as by whoever else locks several.
with held as materialized (select partition, last_stored from log_head order by partition for update),
head as (
    update log_head set
        next_offset = next_offset + 1,
        last_stored = greatest((extract(epoch from clock_timestamp()) * 1000000)::bigint - 1577836800000000, (select max(last_stored) + 1 from held))
    from held where log_head.partition = held.partition
    returning log_head.partition, next_offset - 1 as "offset", log_head.last_stored
)
insert into log_record (partition, "offset", ts, append_id, key, value)
select partition, "offset", last_stored, $1::uuid, 'tick', $2 from head;

-- name: keep_out
-- Until the end of the transaction nobody opens the log.
select pg_advisory_xact_lock($1);

-- name: freeze
-- Until the end of the transaction nothing is appended and no time passes.
select partition, next_offset, last_stored from log_head order by partition for update;

-- name: cursors
-- Where each version of each projection stands.
select name, version, partition, position from projection_cursor where position > 0;

-- name: hand_over
-- From now on the log is in Kafka.
update log_identity set kind = 'kafka', partitions = $1 where kind = 'postgres';

-- name: set_tails
-- What a cursor remembers of the record before it, as the other log has it.
update projection_cursor c set tail = given.tail
from unnest($1::text[], $2::int[], $3::smallint[], $4::bytea[]) as given (name, version, partition, tail)
where c.name = given.name and c.version = given.version and c.partition = given.partition;

-- name: add_cursors
-- Cursors on partitions that there were none of, behind what the copy wrote there: else Consistent-Through would fall back until that is folded.
insert into projection_cursor (name, version, partition, log_id, position, last_stored, tail)
select known.name, known.version, given.partition, $1, given.position, given.last_stored, given.tail
from (select distinct name, version from projection_cursor) known
cross join unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[]) as given (partition, position, last_stored, tail)
on conflict do nothing;

-- name: forget_heads
-- Without heads nobody can append, not even a process that does not know yet that the log has gone.
delete from log_head;
