-- All learners of a tenant, page by page. `{exists}` is a piece of learners.sql.

-- name: how_many
select count(*) from learner l where l.tenant_id = :tenant

-- name: surveyed
-- A page of learners in the order of their ids, and whether each has anything.
select who.learner, ({exists}) as listed
from (select l.id as learner from learner l where l.tenant_id = :tenant and l.id > :after order by l.id limit :limit) who
order by who.learner
