-- Who an agent is, for GET /xapi/agents. `{through}` is that of services/api/learners.sql.

-- name: person
-- The identifiers and names of all that are one learner with this IFI, its own first; at most 1,000.
select {through} as through, person.agent, person.name
from (select) once
left join lateral (
    select m.agent, m.name
    from ifi i
    join ifi m on m.tenant_id = i.tenant_id and m.learner = i.learner
    where i.tenant_id = :tenant and i.key = :key
    order by m.key <> i.key, m.identity collate "C"
    limit 1000
) person on true
