-- Which statements a StatementRef leads to. At most 16 are followed, one after the other; a ring ends where it began.

-- name: chains
-- The statements, or phantoms, that these lead to: below each (`own`, at `seq`) every `id`, the nearest first.
with recursive chain (tenant_id, own, seq, id, hops) as (
    select s.tenant_id, s.id, s.seq, s.refers, 1
    from unnest($1::int[], $2::uuid[]) as first (tenant_id, id)
    join statement s on s.tenant_id = first.tenant_id and s.id = first.id
    where s.refers is not null
    union all
    select c.tenant_id, c.own, c.seq, s.refers, c.hops + 1
    from chain c
    join statement s on s.tenant_id = c.tenant_id and s.id = c.id
    where s.refers is not null and s.refers <> c.own and c.hops < 16
)
select tenant_id, own, seq, id from chain where id <> own order by tenant_id, own, hops;

-- name: above
-- These statements and all that lead to them.
with recursive above (tenant_id, id, hops) as (
    select tenant_id, id, 0 from unnest($1::int[], $2::uuid[]) as changed (tenant_id, id)
    union
    select s.tenant_id, s.id, a.hops + 1
    from above a
    join statement s on s.tenant_id = a.tenant_id and s.refers = a.id
    where a.hops < 16
)
select distinct tenant_id, id from above;

-- name: lock
select 1 from statement s
where (s.tenant_id, s.id) in (select * from unnest($1::int[], $2::uuid[]))
order by s.tenant_id, s.id for update;

-- name: reached
-- What these statements are found by, those of them that are there.
select s.tenant_id, s.id, s.seq, s.raw, s.actor, s.verb, s.activity, s.registration, s.authority, a.agent
from unnest($1::int[], $2::uuid[]) as reached (tenant_id, id)
join statement s on s.tenant_id = reached.tenant_id and s.id = reached.id
join authority a on a.tenant_id = s.tenant_id and a.key = s.authority;

-- name: forget
delete from statement_via v using unnest($1::int[], $2::bigint[]) as gone (tenant_id, seq)
where v.tenant_id = gone.tenant_id and v.seq = gone.seq;
