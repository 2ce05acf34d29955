-- Programmes as published: versions that count, of the IRI that had a slug first. `{through}` is a piece of learners.sql.

-- name: programmes
-- A page of programmes in the order of their slugs, each by the version in force, or by its last where none is yet.
select now.through, page.slug, page.iri, page.version, page.seq, page.title, page.effective, page.retired, page.achievement, page.in_force
from (select {through} as through) now
left join lateral (
    select distinct on (p.slug collate "C")
        p.slug, p.iri, p.version, p.seq, p.title, p.effective, p.retired, p.body->>'achievement' as achievement, {in_force} as in_force
    from programme p
    where p.tenant_id = :tenant and p.accepted and p.slug collate "C" > :after and {first_of_slug}
    order by p.slug collate "C", {in_force} desc, p.seq desc
    limit :limit
) page on true

-- name: versions
-- All versions of one programme, oldest first.
select now.through, p.slug, p.iri, p.version, p.seq, p.title, p.effective, p.retired, p.rule, p.body, {in_force} as in_force
from (select {through} as through) now
left join programme p on p.tenant_id = :tenant and p.slug = :slug and p.accepted and {first_of_slug}
order by p.seq

-- name: everything
-- All versions of all programmes.
select {through} as through, p.slug, p.iri, p.version, p.rule, p.body->>'programme' as programme, p.body->'issuer' as issuer, p.body->>'achievement' as achievement
from (select) once
left join programme p on p.tenant_id = :tenant and p.accepted
order by p.seq

-- name: judged
-- Whether this very version counts: true, false, or no row while its record is not folded.
select bool_or(p.accepted) as accepted from programme p
where p.tenant_id = :tenant and p.iri = :iri and p.version = :version and p.rule = :rule {repeated}
having count(*) > 0

-- name: repeated
-- The publication of one request.
and p.body->>'repeat' = :repeat

-- name: in_force
-- Whether it judges by now, if no later version does.
coalesce(p.effective <= now.through, true)

-- name: first_of_slug
-- Two programmes whose IRIs end alike were published at once: the first one has the slug.
p.iri = (select o.iri from programme o where o.tenant_id = p.tenant_id and o.slug = p.slug and o.accepted order by o.seq limit 1)
