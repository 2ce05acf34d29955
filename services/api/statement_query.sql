-- Lists of statements: constant pieces that services/api/statement_query.py puts together. `:name` is a parameter; `{mark}` takes
-- pieces of this file only (services/api/pieces.py). Consistent-Through (`now`) and the rows it clamps are of one statement, hence of one snapshot. A later page gives the `through`
-- of the first. One row more than a page is read, to know whether there is more. The row of `clock` comes back even when nothing matches.

-- name: page
-- Statements in the order of seq.
with clock as materialized (select now, coalesce(:through, now) << 8 | 255 as bound from consistent_through() as now)
select clock.now, page.seq, page.id, page.flags, page.version, page.authority, page.raw
from clock
left join lateral (
    select s.seq, s.id, s.flags, s.version, s.authority, s.raw
    from statement s
    where s.tenant_id = :tenant and s.seq <= least(:high, clock.bound) {low} and (s.voided is null or s.voided > clock.bound) {filters}
    order by s.seq {order}
    limit :limit
) page on true

-- name: page_of_agent
-- The same for one agent: as the actor, or as the object or a member. Each side reads a page's worth in the order of its own index.
with clock as materialized (select now, coalesce(:through, now) << 8 | 255 as bound from consistent_through() as now)
select clock.now, page.seq, page.id, page.flags, page.version, page.authority, page.raw
from clock
left join lateral (
    select s.seq, s.id, s.flags, s.version, s.authority, s.raw
    from (
        (
            select s.seq, s.id
            from statement s
            where s.tenant_id = :tenant and s.actor = :agent and s.seq <= least(:high, clock.bound) {low}
                and (s.voided is null or s.voided > clock.bound) {filters}
            order by s.seq {order}
            limit :limit
        )
        union
        (
            select r.seq, r.id
            from statement_agent r
            join statement s on s.tenant_id = r.tenant_id and s.id = r.id and s.seq = r.seq
            where r.tenant_id = :tenant and r.agent = :agent and r.seq <= least(:high, clock.bound) {low_related}
                and (s.voided is null or s.voided > clock.bound) {filters}
            order by r.seq {order}
            limit :limit
        )
        order by seq {order}
        limit :limit
    ) found
    join statement s on s.tenant_id = :tenant and s.id = found.id
) page on true

-- name: low
-- Stored after.
and s.seq > :low

-- name: low_related
-- Stored after, for rows of statement_agent.
and r.seq > :low

-- name: verb
-- The verb.
and s.verb = :verb

-- name: activity
-- The object, when it is an activity.
and s.activity = :activity

-- name: registration
-- The registration.
and s.registration = :registration

-- name: authority
-- Whose statements the caller may see.
and s.authority = :authority

-- name: ascending
-- Oldest first.
asc

-- name: descending
-- Newest first.
desc

-- name: by_id
-- One statement by its id, whether it is voided or not, and Consistent-Through.
select clock.now, s.seq, s.id, s.flags, s.version, s.authority, s.raw, s.voided
from consistent_through() as clock (now)
left join statement s on s.tenant_id = :tenant and s.id = :id and s.raw is not null

-- name: authorities
-- The agents behind authority keys, in the words of the first statement with each.
select key, seq, agent from authority where tenant_id = :tenant and key = any(:keys)
