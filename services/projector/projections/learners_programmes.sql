-- Publications of programmes.

-- name: last
-- The last version that counts of each of these programmes.
select n.tenant_id, n.iri, p.version
from unnest($1::int[], $2::text[]) as n (tenant_id, iri)
cross join lateral (
    select max(version) as version from programme p where p.tenant_id = n.tenant_id and p.iri = n.iri and p.accepted
) p
where p.version is not null;

-- name: add
-- Every publication is kept.
insert into programme (tenant_id, seq, iri, slug, version, accepted, effective, title, rule, keys, courses, award_keys, body)
select n.tenant_id, n.seq, n.iri, n.slug, n.version, n.accepted, n.effective, n.title, n.rule, n.keys::bigint[], n.courses::uuid[],
    n.award_keys::bigint[], n.body::jsonb
from unnest(
    $1::int[], $2::bigint[], $3::text[], $4::text[], $5::int[], $6::boolean[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
    $13::text[]
) as n (tenant_id, seq, iri, slug, version, accepted, effective, title, rule, keys, courses, award_keys, body)
on conflict do nothing;

-- name: retire
-- The first retirement after each publication counts.
update programme p set retired = r.seq
from (
    select p.tenant_id, p.seq as published, min(r.seq) as seq
    from unnest($1::int[], $2::text[], $3::bigint[]) as r (tenant_id, iri, seq)
    join programme p on p.tenant_id = r.tenant_id and p.iri = r.iri and p.seq < r.seq
    group by p.tenant_id, p.seq
) r
where p.tenant_id = r.tenant_id and p.seq = r.published and p.retired is null;
