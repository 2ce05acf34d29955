-- Publications of programmes.

-- name: last
-- The last version that counts of each of these programmes, if any, and whether a publication of it was folded that was stored at or after this seq.
select n.tenant_id, n.iri, coalesce(max(p.version) filter (where p.accepted), 0) as version, coalesce(bool_or(p.seq >= n.first), false) as late
from unnest($1::int[], $2::text[], $3::bigint[]) as n (tenant_id, iri, first)
left join programme p on p.tenant_id = n.tenant_id and p.iri = n.iri
group by n.tenant_id, n.iri;

-- name: published
-- All publications of these programmes.
select p.tenant_id, p.seq, p.body::text as body, p.accepted
from unnest($1::int[], $2::text[]) as n (tenant_id, iri) join programme p on p.tenant_id = n.tenant_id and p.iri = n.iri;

-- name: put
-- Every publication is kept, whether it counts or not, which may change when one comes that was stored before it.
insert into programme (tenant_id, seq, iri, slug, version, accepted, effective, title, rule, keys, courses, award_keys, body, retired)
select n.tenant_id, n.seq, n.iri, n.slug, n.version, n.accepted, n.effective, n.title, n.rule, n.keys::bigint[], n.courses::uuid[],
    n.award_keys::bigint[], n.body::jsonb, (select min(r.seq) from retirement r where r.tenant_id = n.tenant_id and r.iri = n.iri and r.seq > n.seq)
from unnest(
    $1::int[], $2::bigint[], $3::text[], $4::text[], $5::int[], $6::boolean[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
    $13::text[]
) as n (tenant_id, seq, iri, slug, version, accepted, effective, title, rule, keys, courses, award_keys, body)
on conflict (tenant_id, seq) do update set accepted = excluded.accepted, effective = excluded.effective, title = excluded.title, keys = excluded.keys,
    courses = excluded.courses, award_keys = excluded.award_keys;

-- name: retire
-- The first retirement after each publication counts.
with kept as (
    insert into retirement (tenant_id, iri, seq) select * from unnest($1::int[], $2::text[], $3::bigint[]) on conflict do nothing
)
update programme p set retired = r.seq
from (
    select p.tenant_id, p.seq as published, min(r.seq) as seq
    from unnest($1::int[], $2::text[], $3::bigint[]) as r (tenant_id, iri, seq)
    join programme p on p.tenant_id = r.tenant_id and p.iri = r.iri and p.seq < r.seq
    group by p.tenant_id, p.seq
) r
where p.tenant_id = r.tenant_id and p.seq = r.published and (p.retired is null or p.retired > r.seq);
