-- Programmes as known at a moment.

-- name: publications
-- Every publication that counts, in order; a retirement counts if it was known.
select p.seq, p.effective, p.retired is not null and p.retired <= $2 as retired, p.courses
from programme p
where p.tenant_id = $1 and p.accepted and p.seq <= $2
order by p.seq;

-- name: bodies
-- What these say.
select p.seq, p.iri, p.version, p.rule, (p.body -> 'programme')::text as programme, (p.body -> 'issuer')::text as issuer, p.body ->> 'achievement' as achievement
from programme p
where p.tenant_id = $1 and p.seq = any($2::bigint[]);

-- name: described
-- Which description of each of these courses held.
select distinct on (c.activity) c.activity, c.seq, c.iri
from course c
where c.tenant_id = $1 and c.activity = any($2::uuid[]) and c.seq <= $3
order by c.activity, c.seq desc;

-- name: descriptions
-- What these descriptions say.
select c.activity, c.seq, c.body
from unnest($2::uuid[], $3::bigint[]) as n (activity, seq) join course c on c.tenant_id = $1 and c.activity = n.activity and c.seq = n.seq;
