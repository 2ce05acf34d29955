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

-- name: filtered
-- The same of what matches filters. What a filter may match in several places is read by as many arms, each in the order of an index of its own.
with clock as materialized (select now, coalesce(:through, now) << 8 | 255 as bound from consistent_through() as now)
select clock.now, page.seq, page.id, page.flags, page.version, page.authority, page.raw
from clock
left join lateral (
    select s.seq, s.id, s.flags, s.version, s.authority, s.raw
    from (select distinct arm.seq from ({arms}) arm order by arm.seq {order} limit :limit) found
    join statement s on s.tenant_id = :tenant and s.seq = found.seq
) page on true

-- name: arm
-- What matches by what it says itself.
(
    select s.seq
    from statement s {links}
    where s.tenant_id = :tenant and s.seq <= least(:high, clock.bound) {low} and (s.voided is null or s.voided > clock.bound) {filters}
    order by s.seq {order}
    limit :limit
)
union all

-- name: via
-- What refers to a statement, itself or through others, that matches all filters, voided or not.
(
    select distinct v.seq
    from statement_via v
    join statement s on s.tenant_id = v.tenant_id and s.seq = v.seq
    where v.tenant_id = :tenant and (v.kind, v.key) = {wanted} {all_wanted}
        and v.seq <= least(:high, clock.bound) {low_via} and v.whole <= clock.bound and (s.voided is null or s.voided > clock.bound) {restriction}
    order by v.seq {order}
    limit :limit
)

-- name: also_wanted
and exists (
    select from statement_via w where w.tenant_id = :tenant and (w.kind, w.key) = {wanted} and w.seq = v.seq and w.hops = v.hops
)

-- name: low
-- Stored after.
and s.seq > :low

-- name: low_via
and v.seq > :low

-- name: low_agent
and a.seq > :low

-- name: low_activity
and c.seq > :low

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

-- name: actor
-- The agent as the actor.
and s.actor = :agent

-- name: vouches
-- The agent as the authority.
and s.authority = :agent

-- name: agent_link
-- The agent as the object, or as a member of a group.
join statement_agent a on a.tenant_id = :tenant and not a.related and a.agent = :agent and a.seq = s.seq and a.seq <= least(:high, clock.bound) {low_agent}

-- name: related_agent_link
-- The agent anywhere else.
join statement_agent a on a.tenant_id = :tenant and a.related and a.agent = :agent and a.seq = s.seq and a.seq <= least(:high, clock.bound) {low_agent}

-- name: related_activity_link
-- The activity anywhere but as the object.
join related_activity c on c.tenant_id = :tenant and c.activity = :activity and c.seq = s.seq and c.seq <= least(:high, clock.bound) {low_activity}

-- The kinds of keys are those of services/core/statement_keys.py: Via.

-- name: via_agent
(0::smallint, :agent::bigint)

-- name: via_related_agent
(1::smallint, :agent::bigint)

-- name: via_verb
(2::smallint, :verb::bigint)

-- name: via_activity
(3::smallint, :activity::bigint)

-- name: via_related_activity
(4::smallint, :activity::bigint)

-- name: via_registration
(5::smallint, :registration_key::bigint)

-- name: via_authority
(6::smallint, :authority::bigint)

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
