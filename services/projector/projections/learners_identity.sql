-- IFIs, links and learners.

-- name: beside
-- Fold beside other runs of these tenants.
select pg_advisory_xact_lock_shared($1, tenant_id) from unnest($2::int[]) as tenant_id;

-- name: alone
-- Have these tenants to oneself.
select pg_advisory_xact_lock($1, tenant_id) from unnest($2::int[]) as tenant_id;

-- name: make
-- Make what is new, each a learner by itself, and lock what is there; which were new.
with made as (
    insert into ifi (tenant_id, key, linked, agent, has_mbox, name, name_seq, folded, grams, identity, learner)
    select n.tenant_id, n.key, n.linked, n.agent, n.has_mbox, n.name, n.name_seq, n.folded, n.grams::int[], n.identity, n.key
    from unnest($1::int[], $2::uuid[], $3::boolean[], $4::text[], $5::boolean[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[])
        as n (tenant_id, key, linked, agent, has_mbox, name, name_seq, folded, grams, identity)
    order by n.tenant_id, n.key
    on conflict (tenant_id, key) do update set learner = ifi.learner where false
    returning tenant_id, key
),
learners as (insert into learner (tenant_id, id) select tenant_id, key from made)
select tenant_id, key from made;

-- name: lock
-- Lock IFIs, sorted; what is known of them.
select i.tenant_id, i.key, i.learner, i.linked, i.has_mbox, i.agent, i.name, i.name_seq
from unnest($1::int[], $2::uuid[]) as n (tenant_id, key) join ifi i on i.tenant_id = n.tenant_id and i.key = n.key
order by i.tenant_id, i.key for update of i;

-- name: learners_of
-- The learners of IFIs.
select i.tenant_id, i.key, i.learner
from unnest($1::int[], $2::uuid[]) as n (tenant_id, key) join ifi i on i.tenant_id = n.tenant_id and i.key = n.key;

-- name: rename
-- What one is searched by, after a new name or the first mailbox; and whether a link named it.
update ifi i set linked = n.linked, agent = n.agent, has_mbox = n.has_mbox, name = n.name, name_seq = n.name_seq, folded = n.folded, grams = n.grams::int[]
from unnest($1::int[], $2::uuid[], $3::boolean[], $4::text[], $5::boolean[], $6::text[], $7::bigint[], $8::text[], $9::text[])
    as n (tenant_id, key, linked, agent, has_mbox, name, name_seq, folded, grams)
where i.tenant_id = n.tenant_id and i.key = n.key;

-- name: move_name
-- A later statement gave the same name.
update ifi i set name_seq = n.name_seq
from unnest($1::int[], $2::uuid[], $3::bigint[]) as n (tenant_id, key, name_seq)
where i.tenant_id = n.tenant_id and i.key = n.key;

-- name: make_learners
-- Make and lock learners.
insert into learner (tenant_id, id)
select n.tenant_id, n.id from unnest($1::int[], $2::uuid[]) as n (tenant_id, id) order by n.tenant_id, n.id
on conflict (tenant_id, id) do update set id = learner.id where false;

-- name: forget_learners
-- Learner ids that are nobody's any more, and their transcripts.
with gone as (delete from learner where tenant_id = $1 and id = any($2::uuid[]))
delete from entry where tenant_id = $1 and learner = any($2::uuid[]);

-- name: links
-- Links by id.
select id, a, b, agents, reason, by, linked, unlinked from link where tenant_id = $1 and id = any($2::uuid[]);

-- name: put_links
-- Links as they are now.
insert into link (tenant_id, id, a, b, agents, reason, by, linked, unlinked)
select $1, n.id, n.a, n.b, n.agents::jsonb, n.reason, n.by::jsonb, n.linked, n.unlinked
from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[])
    as n (id, a, b, agents, reason, by, linked, unlinked)
on conflict (tenant_id, id) do update set a = excluded.a, b = excluded.b, agents = excluded.agents, reason = excluded.reason, by = excluded.by,
    linked = excluded.linked, unlinked = excluded.unlinked;

-- name: members
-- All IFIs of the learners that these IFIs belong to. One index look-up for each (`offset 0` keeps it so): a plan made while the tables were
-- small and not analyzed yet compares every IFI with every other.
select m.key, m.identity, m.learner
from (
    select distinct i.learner
    from unnest($2::uuid[]) as n (key) cross join lateral (select learner from ifi where tenant_id = $1 and key = n.key offset 0) i
) l
cross join lateral (select key, identity, learner from ifi where tenant_id = $1 and learner = l.learner offset 0) m;

-- name: links_among
-- The links with an end among these IFIs.
select id, a, b, agents, reason, by, linked, unlinked from link where tenant_id = $1 and (a = any($2::uuid[]) or b = any($2::uuid[]));

-- name: move
-- Their learner is another now.
update ifi i set learner = n.learner
from unnest($2::uuid[], $3::uuid[]) as n (key, learner)
where i.tenant_id = $1 and i.key = n.key;
