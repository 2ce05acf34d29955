-- The ledger: what records say of awards, and the awards.

-- name: heads
-- The last award of each IFI in each of these matters.
select n.tenant_id, n.ifi, n.kind, n.matter, a.n, a.k, a.state, a.since, a.valid_until, a.ended, a.version, a.rule, a.status, a.reminded,
    a.issued_seq, a.last_seq, a.closed, a.credential, a.inputs
from unnest($1::int[], $2::uuid[], $3::text[], $4::text[]) as n (tenant_id, ifi, kind, matter)
cross join lateral (
    select * from award a where a.tenant_id = n.tenant_id and a.ifi = n.ifi and a.kind = n.kind and a.matter = n.matter order by a.n desc limit 1
) a;

-- name: add
-- Every record is kept, whether it counts or not.
insert into decision (tenant_id, ifi, kind, matter, seq, id, n, k, state, accepted, since, valid_until, version, rule, status, known_at, reason, body)
select n.tenant_id, n.ifi, n.kind, n.matter, n.seq, n.id, n.n, n.k, n.state, n.accepted, n.since, n.valid_until, n.version, n.rule, n.status, n.known_at,
    n.reason, n.body::jsonb
from unnest(
    $1::int[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::int[], $8::int[], $9::text[], $10::boolean[], $11::bigint[], $12::bigint[],
    $13::int[], $14::text[], $15::text[], $16::bigint[], $17::text[], $18::text[]
) as n (tenant_id, ifi, kind, matter, seq, id, n, k, state, accepted, since, valid_until, version, rule, status, known_at, reason, body)
on conflict do nothing;

-- name: put_awards
-- Awards as they are now; a place, once taken, stays.
insert into award (
    tenant_id, ifi, kind, matter, n, k, state, since, valid_until, ended, version, rule, status, reminded, issued_seq, last_seq, closed, credential, inputs, place)
select n.tenant_id, n.ifi, n.kind, n.matter, n.n, n.k, n.state, n.since, n.valid_until, n.ended, n.version, n.rule, n.status, n.reminded, n.issued_seq,
    n.last_seq, n.closed, n.credential, n.inputs::jsonb, n.place
from unnest(
    $1::int[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::int[], $12::text[],
    $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::boolean[], $18::uuid[], $19::text[], $20::int[]
) as n (
    tenant_id, ifi, kind, matter, n, k, state, since, valid_until, ended, version, rule, status, reminded, issued_seq, last_seq, closed, credential, inputs, place)
on conflict (tenant_id, ifi, kind, matter, n) do update set k = excluded.k, state = excluded.state, since = excluded.since, valid_until = excluded.valid_until,
    ended = excluded.ended, version = excluded.version, rule = excluded.rule, status = excluded.status, reminded = excluded.reminded,
    last_seq = excluded.last_seq, closed = excluded.closed, inputs = excluded.inputs;

-- name: free_places
-- How many credentials were issued in each of these partitions.
select n.tenant_id, n.partition, coalesce((
    select a.place + 1 from award a
    where a.tenant_id = n.tenant_id and (a.issued_seq & 255) = n.partition and a.place is not null
    order by a.place desc limit 1
), 0) as free
from unnest($1::int[], $2::int[]) as n (tenant_id, partition);

-- name: add_revocations
-- Revocations by hand that closed an award.
insert into revocation (tenant_id, ifi, kind, matter, n, seq)
select * from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::bigint[])
on conflict do nothing;
