-- A version of a projection built beside the one in use, and the moment in which readers change over.

-- name: claim
-- One replay of a projection at a time.
select pg_try_advisory_lock(hashtext('testamur replay'), hashtext($1));

-- name: leftovers
-- Versions that nobody reads: of replays that did not end, and retired ones whose tables are still there.
select version from projection where name = $1 and (state = 'building' or (state = 'retired' and to_regnamespace($1 || '_' || version) is not null));

-- name: forget_building
delete from projection where name = $1 and version = $2 and state = 'building';

-- name: abandon
-- A build that did not end and whose tables cannot be dropped yet: nobody may take it for one of now.
update projection set state = 'retired' where name = $1 and version = $2 and state = 'building';

-- name: indexes
-- How indexes of a version are made.
select indexname, indexdef from pg_indexes where schemaname = $1 and indexname = any($2::text[]) order by indexname;

-- name: active_version
select version from projection where name = $1 and state = 'active';

-- name: next_version
select max(version) + 1 from projection where name = $1;

-- name: hold
-- Keep whoever folds this version where they are.
select partition, position from projection_cursor where name = $1 and version = $2 order by partition for update;

-- name: undecided
-- Deciders share this lock, each for a batch, and none takes it while somebody waits for it (decider/queue.sql: through).
select pg_advisory_xact_lock(hashtext('testamur deciding'));

-- name: carry
-- The new version goes on where the old one was; whoever held its cursors has lost them.
update projection_cursor new set epoch = new.epoch + 1, owner = null, lease_until = '-infinity',
    last_stored = greatest(new.last_stored, old.last_stored), conflicts = greatest(new.conflicts, old.conflicts)
from projection_cursor old
where new.name = $1 and new.version = $3 and old.name = $1 and old.version = $2 and old.partition = new.partition;

-- name: fence
-- Whoever folded the old version can move its cursors no more, nor take them again.
update projection_cursor set epoch = epoch + 1, owner = null, lease_until = 'infinity' where name = $1 and version = $2;

-- name: set_state
update projection set state = $3 where name = $1 and version = $2;

-- name: forget_spans
delete from record_span where name = $1 and version = $2;

-- name: forget_dead_letters
delete from dead_letter where name = $1 and version = $2;

-- name: through
select consistent_through();

-- name: sweep_all
-- What a building version folded woke nobody: everybody is evaluated again, once all is folded that is folded now. Decisions it met are folded.
with folded as (
    update under_way u set folded = d.seq
    from under_way w cross join lateral (select min(seq) as seq from testamur.decision d where d.tenant_id = w.tenant_id and d.id = w.id) d
    where u.tenant_id = w.tenant_id and u.id = w.id and u.folded is null and d.seq is not null
)
insert into sweep (tenant_id, due)
select t.id, (select max(last_stored) from projection_cursor where name = $1 and version = $2) from tenant t;

-- name: folded
select pg_notify('testamur_folded', '');
