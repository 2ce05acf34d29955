-- How the whole system stands, over all tenants.

-- name: cursors
-- Every partition of every active projection: where it stands, and whether a worker holds it.
select p.name, p.version, c.partition, c.position, c.last_stored, c.halted, c.lease_until > clock_timestamp() as owned, consistent_through() as through
from projection p
left join projection_cursor c on c.name = p.name and c.version = p.version
where p.state = 'active'
order by p.name, c.partition

-- name: counts
-- How much there is. A learner counts who has evidence or a link in force.
select
    (select count(*) from statement s where s.raw is not null) as statements,
    (
        select count(distinct (m.tenant_id, m.learner))
        from ifi m
        where exists (select from evidence e where e.tenant_id = m.tenant_id and e.ifi = m.key)
            or exists (select from link l where l.tenant_id = m.tenant_id and l.a = m.key and l.linked is not null and l.unlinked is null)
            or exists (select from link l where l.tenant_id = m.tenant_id and l.b = m.key and l.linked is not null and l.unlinked is null)
    ) as learners,
    (select count(*) from conflict) as conflicts

-- name: dead_letters
-- Statements set aside by the active versions.
select count(*) from dead_letter d join projection p on p.name = d.name and p.version = d.version and p.state = 'active'

-- name: quarantined
-- Invalid statements that wait to be corrected.
select count(*) from quarantined where redriven is null

-- name: decisions
-- What waits to be decided, over all tenants: rows of the queue that Consistent-Through has passed, how long it has passed the first of them, and decisions not
-- yet folded.
with through as (select consistent_through() as instant)
select
    (select count(*) from wake w where w.due <= through.instant) + (select count(*) from sweep s where s.due <= through.instant) as waiting,
    (select count(*) from under_way u where u.folded is null) as under_way,
    greatest(0, through.instant - least((select min(due) from wake), (select min(due) from sweep))) as behind
from through
