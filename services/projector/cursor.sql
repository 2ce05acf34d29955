-- Leases and cursors. Only the database's clock is ever compared; the last condition of each write is the fence.

-- name: acquire
-- Take at most $4 free cursors of the projections $3 in state $5, of versions that this code made ($6).
with free as (
    select c.name, c.version, c.partition
    from projection_cursor c join projection p on p.name = c.name and p.version = c.version
    where p.state = $5 and c.name = any($3::text[]) and p.fingerprint = any($6::text[]) and c.lease_until < clock_timestamp() and c.halted is null
    order by c.partition, c.name
    limit $4
    for update of c skip locked
)
update projection_cursor c set owner = $1, epoch = c.epoch + 1, lease_until = clock_timestamp() + $2::interval
from free
where c.name = free.name and c.version = free.version and c.partition = free.partition
returning c.name, c.version, c.partition, c.log_id, c.epoch, c.position, c.last_stored, c.tail;

-- name: advance
-- The first statement of every run: move the cursors of its partitions on ($4 to $9, one element for each), those that are still ours and where we left
-- them; return which. They are locked in order, as by whoever else locks several. At the commit those who wait for the fold are woken ($11), and the
-- partitions of other processes are asked to pass what was stored here ($12).
with held as materialized (
    select c.partition, step.position, step.last_stored, step.tail
    from projection_cursor c
    join unnest($4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[]) as step (partition, epoch, old, position, last_stored, tail)
        on step.partition = c.partition
    where c.name = $1 and c.version = $2 and c.owner = $3 and c.epoch = step.epoch and c.position = step.old and c.last_stored <= step.last_stored
    order by c.partition
    for update of c
),
moved as (
    update projection_cursor c
    set position = held.position, last_stored = held.last_stored, tail = held.tail, lease_until = clock_timestamp() + $10::interval
    from held where c.name = $1 and c.version = $2 and c.partition = held.partition
    returning c.partition
)
select array(select partition from moved) as moved, case when $11 then pg_notify('testamur_folded', $1) end,
    case when $12::bigint is not null then pg_notify('testamur_wanted', $12::text) end;

-- name: pass_time
-- Everything stored at or before an instant ($7) is folded, says the log, without a record. Renews the leases; returns those that are still ours.
with held as materialized (
    select c.partition, step.stored
    from projection_cursor c
    join unnest($4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[]) as step (partition, epoch, position, stored) on step.partition = c.partition
    where c.name = $1 and c.version = $2 and c.owner = $3 and c.epoch = step.epoch and c.position = step.position
    order by c.partition
    for update of c
),
moved as (
    update projection_cursor c set last_stored = greatest(c.last_stored, held.stored), lease_until = clock_timestamp() + $8::interval
    from held where c.name = $1 and c.version = $2 and c.partition = held.partition
    returning c.partition
)
select array(select partition from moved) as moved, case when $9 then pg_notify('testamur_folded', $1) end;

-- name: look
-- After a commit of unknown outcome: where the cursor is, once whatever held it has ended. Renews the lease.
update projection_cursor set lease_until = clock_timestamp() + $6::interval
where name = $1 and version = $2 and partition = $3 and owner = $4 and epoch = $5
returning position, last_stored, tail;

-- name: add_conflicts
update projection_cursor set conflicts = conflicts + $4 where name = $1 and version = $2 and partition = $3;

-- name: release
-- Give a cursor back, so that another worker can take it at once.
update projection_cursor set owner = null, lease_until = '-infinity'
where name = $1 and version = $2 and partition = $3 and owner = $4 and epoch = $5;

-- name: free_owner
-- Give back whatever a worker holds that is known to be dead or done.
update projection_cursor set owner = null, lease_until = '-infinity' where owner = $1;

-- name: free_frozen
-- End the sessions of workers that froze in the middle of a statement for which the server waits, a COPY say: no timeout of the server's reaches there, and
-- though their leases are over they keep the cursor's row locked, with all that the run has touched.
select pg_terminate_backend(a.pid)
from projection_cursor c
join pg_stat_activity a on a.datname = current_database() and a.application_name = left('testamur projector ' || c.name || ' ' || c.owner, 63)
where c.name = any($1::text[]) and c.lease_until < clock_timestamp()
  and a.usename = current_user and a.state = 'active' and a.wait_event in ('ClientRead', 'ClientWrite') and a.query_start < clock_timestamp() - $2::interval;

-- name: halt
-- Stand still at a record that must not be skipped.
update projection_cursor set halted = $6, halted_at = clock_timestamp(), owner = null, lease_until = '-infinity'
where name = $1 and version = $2 and partition = $3 and owner = $4 and epoch = $5;

-- name: clear_halt
-- Let halted cursors go on: of one projection and one partition, or of all where null.
update projection_cursor set halted = null, halted_at = null
where halted is not null and name = coalesce($1::text, name) and partition = coalesce($2::smallint, partition)
returning name, partition;

-- name: add_spans
-- Remember the records of several statements that Consistent-Through must not cut.
insert into record_span (name, version, partition, first, last)
select $1, $2, span.partition, span.first, span.last from unnest($3::smallint[], $4::bigint[], $5::bigint[]) as span (partition, first, last)
on conflict do nothing;

-- name: prune_spans
-- Forget those of these partitions that lie wholly behind Consistent-Through.
delete from record_span
where name = $1 and version = $2 and partition = any($3::smallint[])
  and last <= (select min(last_stored) from projection_cursor where name = $1 and version = $2);

-- name: folded
-- Wake whoever waits for the fold.
select pg_notify('testamur_folded', '');

-- name: report_alive
-- Say that a projector process lives, if there is anything that its code may fold ($2).
insert into projector_worker (owner, seen)
select $1, clock_timestamp() where exists (select from projection where state = 'active' and fingerprint = any($2::text[]))
on conflict (owner) do update set seen = excluded.seen;

-- name: forget_worker
delete from projector_worker where owner = $1 or seen < clock_timestamp() - interval '1 minute';

-- name: fair_share
-- How many cursors of the projections $1 each living process should hold.
select ceil((select count(*) from projection_cursor c join projection p on p.name = c.name and p.version = c.version
             where p.state = 'active' and c.name = any($1::text[]) and c.halted is null)::numeric
    / greatest(1, (select count(*) from projector_worker where seen > clock_timestamp() - $2::interval)))::int;

-- name: cursors
-- The cursors of the versions in state $2, and whether each is in living hands.
select c.name, c.version, c.partition, c.position, c.last_stored, c.halted, c.owner is not null and c.lease_until > clock_timestamp() as owned
from projection_cursor c join projection p on p.name = c.name and p.version = c.version
where p.state = $2 and c.name = any($1::text[])
order by c.name, c.partition;

-- name: make_tenant
insert into tenant (name) values ($1) on conflict do nothing;

-- name: tenant
select id from tenant where name = $1;

-- name: set_aside
insert into dead_letter (name, version, partition, "offset", idx, tenant_id, statement_id, ifi, reason, code_hash, seq)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (name, version, partition, "offset", idx)
do update set ifi = excluded.ifi, reason = excluded.reason, code_hash = excluded.code_hash, seen_at = now();

-- name: dead_letters
-- What other code than $4 set aside.
select "offset", idx, seq from dead_letter
where name = $1 and version = $2 and partition = $3 and code_hash <> $4
order by "offset", idx;

-- name: forget_dead_letter
delete from dead_letter where name = $1 and version = $2 and partition = $3 and "offset" = $4 and idx = $5;

-- name: versions
select name, version from projection where state = $2 and name = any($1::text[]);
