-- What `testamur doctor` asks the database. It reads only.

-- name: cursors
-- The cursors of the active versions.
select c.name, c.partition, c.log_id, c.position, c.last_stored, c.tail, c.halted
from projection_cursor c join projection p on p.name = c.name and p.version = c.version
where p.state = 'active' order by c.name, c.partition;

-- name: dead_letters
select d.name, d.partition, d."offset", d.idx, d.reason
from dead_letter d join projection p on p.name = d.name and p.version = d.version
where p.state = 'active' order by d.name, d.partition, d."offset", d.idx limit 10;

-- name: durable
-- Whether a commit survives a power failure.
select current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on';

-- name: separated
-- Whether row-level security is in force.
select testamur.separated();

-- name: disagreements
-- Statements stored up to the instant that both projections have passed, of which the two say different things: the copy that stands, or whether it is voided.
with passed as (
    select min(c.last_stored) << 8 | 255 as seq
    from projection_cursor c join projection p on p.name = c.name and p.version = c.version where p.state = 'active'
), searchable as (
    select tenant_id, id, s.seq, s.voided is not null and s.voided <= passed.seq as voided from statement s cross join passed where s.seq <= passed.seq
), folded as (
    select tenant_id, statement_id as id, e.seq, e.voided is not null and e.voided <= passed.seq as voided from evidence e cross join passed where e.seq <= passed.seq
)
select count(*) as count, min(coalesce(s.id, f.id)::text) as example
from searchable s full join folded f on f.tenant_id = s.tenant_id and f.id = s.id
where s.seq is distinct from f.seq or s.voided is distinct from f.voided;

-- name: orphans
-- Transcript entries of learners that do not exist.
select count(*) from entry e where not exists (select from learner l where l.tenant_id = e.tenant_id and l.id = e.learner);
