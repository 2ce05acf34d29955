-- Blocks of pairs that outgrew one.

-- name: load
-- The blocks of pairs, in order.
select b.tenant_id, b.ifi, b.activity, b.at, b.seq, b.n, b.summary
from unnest($1::int[], $2::uuid[], $3::uuid[]) as p (tenant_id, ifi, activity)
join block b on b.tenant_id = p.tenant_id and b.ifi = p.ifi and b.activity = p.activity
order by b.tenant_id, b.ifi, b.activity, b.at, b.seq;

-- name: rows
-- The evidence rows of blocks, by the place of the block in the question.
select s.n::int, e.statement_id, e.seq, e.at, e.assured, e.voided is not null as voided, e.facts
from unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    with ordinality as s (tenant_id, ifi, activity, from_at, from_seq, to_at, to_seq, n)
join evidence e on e.tenant_id = s.tenant_id and e.ifi = s.ifi and e.activity = s.activity
    and (e.at, e.seq) >= (s.from_at, s.from_seq) and (e.at, e.seq) < (s.to_at, s.to_seq);

-- name: put
-- Blocks as they are now.
insert into block (tenant_id, ifi, activity, at, seq, n, summary)
select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::int[], $7::bytea[])
on conflict (tenant_id, ifi, activity, at, seq) do update set n = excluded.n, summary = excluded.summary;

-- name: named
-- The standing rows of a class in blocks, by the place of the pair in the question.
select s.place, e.at, e.seq, e.statement_id
from unnest($1::int[], $2::int[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::smallint[])
    as s (place, tenant_id, ifi, activity, from_at, from_seq, to_at, to_seq, class)
join evidence e on e.tenant_id = s.tenant_id and e.ifi = s.ifi and e.activity = s.activity
    and (e.at, e.seq) >= (s.from_at, s.from_seq) and (e.at, e.seq) < (s.to_at, s.to_seq)
where e.class = s.class and e.voided is null;
