-- What is behind an explanation beside the rule and the facts.

-- name: links_then
-- Links of these IFIs in force by what was stored up to `known`.
select l.id, l.agents, l.reason, l.by, l.linked
from link l
where l.tenant_id = :tenant and (l.a = any(:ifis) or l.b = any(:ifis)) and l.linked <= :known and (l.unlinked is null or l.unlinked > :known)
order by l.linked, l.id
limit 1000

-- name: voided
-- Statements of these IFIs that were voided by then, the last ones first, and those that assured one of them and were voided.
select e.statement_id, null::uuid as assures, e.seq, e.at, e.ifi, e.activity, e.facts, {assured_then} as assured, e.voided, {voids} as voided_by
from evidence e
where e.tenant_id = :tenant and e.ifi = any(:ifis) and e.seq <= :known and e.voided <= :known {about}
union all
select s.assuring, e.statement_id, e.seq, e.at, e.ifi, e.activity, e.facts, s.level, v.voided, {voids_of_assuring} as voided_by
from evidence e
join assurance s on s.tenant_id = e.tenant_id and s.target = e.statement_id and s.seq <= :known
join evidence v on v.tenant_id = s.tenant_id and v.statement_id = s.assuring and v.voided <= :known
where e.tenant_id = :tenant and e.ifi = any(:ifis) and e.seq <= :known and (e.voided is null or e.voided > :known) {about}
order by voided desc
limit 1000

-- name: about
-- About one of these activities.
and e.activity = any(:activities)

-- name: voids
-- The voiding statements in force.
array(
    select o.voiding from void o
    where o.tenant_id = e.tenant_id and o.target = e.statement_id and o.seq <= :known and (o.trusted or o.authority = e.authority)
    order by o.seq
)

-- name: voids_of_assuring
-- The same of what assured.
array(
    select o.voiding from void o
    where o.tenant_id = v.tenant_id and o.target = v.statement_id and o.seq <= :known and (o.trusted or o.authority = v.authority)
    order by o.seq
)
