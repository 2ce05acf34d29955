-- What learners have, as known at a moment ($3: the greatest seq that counts): one statement for each table, whatever the number of learners, and one index
-- look-up for each IFI, whatever statistics say of tables that were small a moment ago: `offset 0`, the order of the index, and `seq + 0`, which no index serves,
-- keep it so.

-- name: members
-- All IFIs that links in force then join with these, and these.
with recursive member (key) as (
    select unnest($2::uuid[])
    union
    select l.other
    from member m
    cross join lateral (
        select l.b as other from link l where l.tenant_id = $1 and l.a = m.key and l.linked <= $3 and (l.unlinked is null or l.unlinked > $3)
        union all
        select l.a from link l where l.tenant_id = $1 and l.b = m.key and l.linked <= $3 and (l.unlinked is null or l.unlinked > $3)
    ) l
    where l.other is not null
)
select i.key, i.identity, i.linked
from member m
cross join lateral ( -- in the order of the primary key: of a table that was small when this was planned, another index of the tenant seems as good
    select key, identity, linked from ifi where tenant_id = $1 and key >= m.key and key <= m.key order by key limit 1
) i;

-- name: links
-- The links in force then between these.
select l.a, l.b from link l
where l.tenant_id = $1 and l.a = any($2::uuid[]) and l.b = any($2::uuid[]) and l.linked <= $3 and (l.unlinked is null or l.unlinked > $3);

-- name: entries
-- The entries that count of these IFIs' awards, in order; `after` is the end of the award that one renews. Bodies may be long, for what a programme's
-- decision rests on is in them: they are unpacked once, and only a course's inputs are asked for.
select d.ifi, d.kind, d.matter, d.id, d.seq, d.state, d.n, d.k, d.since, d.known_at, d.valid_until, d.version, d.rule, d.status, d.reason,
    b.said ->> 'remind' as remind, b.said ->> 'credential' as credential, b.said ->> 'after' as after, (b.said -> 'inputs')::text as inputs
from unnest($2::uuid[]) as n (ifi)
cross join lateral (
    select * from decision where tenant_id = $1 and ifi = n.ifi and accepted and seq + 0 <= $3
    order by ifi, kind, matter, n, k offset 0
) d
cross join lateral (select case d.kind when 'course' then d.body else d.body - 'inputs' end as said offset 0) b
order by d.seq;

-- name: revocations
-- Revocations by hand of awards of anybody whom a link ever joined with these IFIs, in force or not.
with recursive ever (key) as (
    select unnest($2::uuid[])
    union
    select l.other
    from ever m
    cross join lateral (
        select l.b as other from link l where l.tenant_id = $1 and l.a = m.key and l.linked <= $3
        union all
        select l.a from link l where l.tenant_id = $1 and l.b = m.key and l.linked <= $3
    ) l
    where l.other is not null
)
select r.seq, r.matter, r.ifi
from ever
cross join lateral (select seq, matter, ifi from revocation where tenant_id = $1 and ifi = ever.key and kind = 'programme' and seq + 0 <= $3 offset 0) r
order by r.seq;

-- name: facts
-- The statements of these IFIs that stood then, at most $4 of them (null: all).
select f.*
from unnest($2::uuid[]) as n (ifi)
cross join lateral (
    select e.ifi, e.activity, e.statement_id, e.seq, e.at, e.facts, (
        select max(s.level)
        from assurance s
        join evidence v on v.tenant_id = s.tenant_id and v.statement_id = s.assuring
        where s.tenant_id = e.tenant_id and s.target = e.statement_id and s.seq <= $3 and (v.voided is null or v.voided > $3)
    ) as assured
    from evidence e
    where e.tenant_id = $1 and e.ifi = n.ifi and e.seq <= $3 and (e.voided is null or e.voided > $3)
    order by e.ifi, e.activity, e.at, e.seq offset 0
) f
limit $4;

-- name: facts_about
-- Those about these activities.
select f.*
from unnest($2::uuid[]) as n (ifi) cross join unnest($5::uuid[]) as a (activity)
cross join lateral (
    select e.ifi, e.activity, e.statement_id, e.seq, e.at, e.facts, (
        select max(s.level)
        from assurance s
        join evidence v on v.tenant_id = s.tenant_id and v.statement_id = s.assuring
        where s.tenant_id = e.tenant_id and s.target = e.statement_id and s.seq <= $3 and (v.voided is null or v.voided > $3)
    ) as assured
    from evidence e
    where e.tenant_id = $1 and e.ifi = n.ifi and e.activity = a.activity and e.seq <= $3 and (e.voided is null or e.voided > $3)
    offset 0
) f
limit $4;

-- name: courses
-- These activities, and whether each was described as a course then.
select a.key, a.iri, exists (select from course c where c.tenant_id = a.tenant_id and c.activity = a.key and c.seq <= $3) as described
from activity a
where a.tenant_id = $1 and a.key = any($2::uuid[]);
