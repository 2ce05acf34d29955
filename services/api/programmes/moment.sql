-- When `now` is for a judgement. `{through}` is a piece of learners.sql.

-- name: now
-- What every partition has folded, and the latest that any has: nothing that is folded was stored after it.
select {through} as through, (
    select max(c.last_stored)
    from projection p
    join projection_cursor c on c.name = p.name and c.version = p.version
    where p.name = 'learners' and p.state = 'active'
) as reached

-- name: named
-- How these IFIs are called.
select i.key, i.agent, i.name, i.name_seq from ifi i where i.tenant_id = :tenant and i.key = any(:keys)
