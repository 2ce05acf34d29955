-- Who learners are. `{through}` is what the learners projection had folded in the snapshot of the same statement.

-- name: through
-- Everything stored at or before it is folded.
(
    select min(c.last_stored)
    from projection p
    join projection_cursor c on c.name = p.name and c.version = p.version
    where p.name = 'learners' and p.state = 'active'
)

-- name: exists
-- A learner is listed who has evidence, voided or not, or a link in force.
exists (select from ifi m join evidence e on e.tenant_id = m.tenant_id and e.ifi = m.key where m.tenant_id = :tenant and m.learner = who.learner)
or exists (
    select
    from ifi m
    join link l on l.tenant_id = m.tenant_id and l.linked is not null and l.unlinked is null and (l.a = m.key or l.b = m.key)
    where m.tenant_id = :tenant and m.learner = who.learner
)

-- name: page
-- Learners in the order of their ids. A learner whose row is there but who has neither evidence nor a link is passed over.
select {through} as through, page.learner, page.agents, page.name
from (select) once
left join lateral (
    select who.learner, members.agents, members.name
    from ({who}) who
    cross join lateral (
        select array_agg(m.agent order by m.identity collate "C") as agents,
            (array_agg(m.name order by m.name_seq desc) filter (where m.name is not null))[1] as name
        from ifi m
        where m.tenant_id = :tenant and m.learner = who.learner
    ) members
    where {exists}
    order by who.learner
    limit :limit
) page on true

-- name: everyone
-- All learners.
select l.id as learner from learner l where l.tenant_id = :tenant and l.id > :after

-- name: of_agent
-- The learner of one IFI.
select i.learner from ifi i where i.tenant_id = :tenant and i.key = :key and i.learner > :after

-- name: searched
-- Learners of whom one IFI, with its name, holds every word. `distinct` keeps what follows from being done for more than a page of them: as a semi-join
-- this is ten times faster for words that all have and ten times slower for words that many have.
select distinct i.learner from ifi_search i where i.tenant_id = :tenant and i.learner > :after and i.folded like all (:patterns) {grams}

-- name: grams
-- The trigrams of words of three letters and more find them by index.
and i.grams @> :grams

-- name: learner
-- One learner by the id of any member, and whether a statement of theirs could not be folded.
select {through} as through, who.learner, members.keys, members.agents, members.name, members.incomplete, who.learner is not null and ({exists}) as listed
from (select) once
left join lateral (select i.learner from ifi i where i.tenant_id = :tenant and i.key = :key) who on true
cross join lateral (
    select array_agg(m.key) as keys, array_agg(m.agent order by m.identity collate "C") as agents,
        (array_agg(m.name order by m.name_seq desc) filter (where m.name is not null))[1] as name,
        bool_or({set_aside}) as incomplete
    from ifi m
    where m.tenant_id = :tenant and m.learner = who.learner
) members

-- name: set_aside
-- Whether a statement of the IFI `m` waits among the dead letters of the active version.
exists (
    select
    from dead_letter d
    join projection p on p.name = d.name and p.version = d.version and p.state = 'active'
    where d.tenant_id = m.tenant_id and d.ifi = m.key and d.name = 'learners'
)

-- name: links
-- Links in force of these IFIs.
select l.id, l.agents, l.reason, l.by, l.linked
from link l
where l.tenant_id = :tenant and l.linked is not null and l.unlinked is null and (l.a = any(:keys) or l.b = any(:keys))
order by l.linked, l.id

-- name: link
-- One link, in force or taken back.
select l.id, l.agents, l.reason, l.by, l.linked, l.unlinked from link l where l.tenant_id = :tenant and l.id = :id and l.linked is not null

-- name: members_then
-- The IFIs that were one learner with this one by what was stored up to `known`, links taken back later included.
with recursive member (key) as (
    select i.key from ifi i where i.tenant_id = :tenant and i.key = :key
    union
    select case when l.a = m.key then l.b else l.a end
    from member m
    join link l on l.tenant_id = :tenant and (l.a = m.key or l.b = m.key)
    where l.linked <= :known and (l.unlinked is null or l.unlinked > :known)
)
select {through} as through, array_agg(m.key order by m.identity collate "C") as keys, coalesce(bool_or({set_aside}), false) as incomplete
from member
join ifi m on m.tenant_id = :tenant and m.key = member.key
