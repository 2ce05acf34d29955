-- The ledger: what records say of awards, and the awards.

-- name: take_turns
-- Lock the ledgers of these IFIs, sorted, those that are new too.
insert into ledger (tenant_id, ifi)
select n.tenant_id, n.ifi from unnest($1::int[], $2::uuid[]) as n (tenant_id, ifi) order by n.tenant_id, n.ifi
on conflict (tenant_id, ifi) do update set ifi = ledger.ifi where false;

-- name: heads
-- The last award of each IFI in each of these matters, and whether anything was folded of it that was stored at or after this seq (in the order of the index
-- of the ledger and `offset 0`: no other is taken, whatever statistics say, and all that was ever decided is never read for each of them).
select n.tenant_id, n.ifi, n.kind, n.matter, exists (
        select from (
            select d.seq from decision d
            where d.tenant_id = n.tenant_id and d.ifi = n.ifi and d.kind = n.kind and d.matter = n.matter
            order by d.ifi, d.kind, d.matter, d.n, d.k offset 0
        ) d
        where d.seq >= n.first
    ) as late,
    a.n, a.k, a.state, a.since, a.valid_until, a.ended, a.version, a.rule, a.status, a.reminded,
    a.issued_seq, a.last_seq, a.closed, a.credential, a.inputs
from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::bigint[]) as n (tenant_id, ifi, kind, matter, first)
left join lateral (
    select * from award a where a.tenant_id = n.tenant_id and a.ifi = n.ifi and a.kind = n.kind and a.matter = n.matter order by a.n desc limit 1
) a on true;

-- name: said
-- All that was said before of these IFIs in these matters.
select n.tenant_id, n.ifi, n.kind, n.matter, d.seq, d.id, d.body ? 'kind' as decided, d.body::text as body, d.accepted, d.k, d.version, d.rule, d.status
from unnest($1::int[], $2::uuid[], $3::text[], $4::text[]) as n (tenant_id, ifi, kind, matter)
cross join lateral (
    select * from decision d where d.tenant_id = n.tenant_id and d.ifi = n.ifi and d.kind = n.kind and d.matter = n.matter
    order by d.ifi, d.kind, d.matter, d.n, d.k offset 0
) d;

-- name: put
-- Every record is kept, whether it counts or not; what it counts as may change when one comes that was stored before it.
insert into decision (tenant_id, ifi, kind, matter, seq, id, n, k, state, accepted, since, valid_until, version, rule, status, known_at, reason, body)
select n.tenant_id, n.ifi, n.kind, n.matter, n.seq, n.id, n.n, n.k, n.state, n.accepted, n.since, n.valid_until, n.version, n.rule, n.status, n.known_at,
    n.reason, n.body::jsonb
from unnest(
    $1::int[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::int[], $8::int[], $9::text[], $10::boolean[], $11::bigint[], $12::bigint[],
    $13::int[], $14::text[], $15::text[], $16::bigint[], $17::text[], $18::text[]
) as n (tenant_id, ifi, kind, matter, seq, id, n, k, state, accepted, since, valid_until, version, rule, status, known_at, reason, body)
on conflict (tenant_id, seq) do update set
    k = excluded.k, accepted = excluded.accepted, version = excluded.version, rule = excluded.rule, status = excluded.status;

-- name: put_awards
-- Awards as they are now.
insert into award (
    tenant_id, ifi, kind, matter, n, k, state, since, valid_until, ended, version, rule, status, reminded, issued_seq, last_seq, closed, credential, inputs)
select n.tenant_id, n.ifi, n.kind, n.matter, n.n, n.k, n.state, n.since, n.valid_until, n.ended, n.version, n.rule, n.status, n.reminded, n.issued_seq,
    n.last_seq, n.closed, n.credential, n.inputs::jsonb
from unnest(
    $1::int[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::int[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::int[], $12::text[],
    $13::text[], $14::bigint[], $15::bigint[], $16::bigint[], $17::boolean[], $18::uuid[], $19::text[]
) as n (
    tenant_id, ifi, kind, matter, n, k, state, since, valid_until, ended, version, rule, status, reminded, issued_seq, last_seq, closed, credential, inputs)
on conflict (tenant_id, ifi, kind, matter, n) do update set k = excluded.k, state = excluded.state, since = excluded.since, valid_until = excluded.valid_until,
    ended = excluded.ended, version = excluded.version, rule = excluded.rule, status = excluded.status, reminded = excluded.reminded,
    issued_seq = excluded.issued_seq, last_seq = excluded.last_seq, closed = excluded.closed, credential = excluded.credential, inputs = excluded.inputs
where (award.*) is distinct from (excluded.*);

-- name: remove_awards
-- Awards above the last one that there is after all.
delete from award a
using unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::int[]) as n (tenant_id, ifi, kind, matter, last)
where a.tenant_id = n.tenant_id and a.ifi = n.ifi and a.kind = n.kind and a.matter = n.matter and a.n > n.last;

-- name: add_revocations
-- Revocations by hand that closed an award.
insert into revocation (tenant_id, ifi, kind, matter, n, seq)
select * from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::bigint[])
on conflict do nothing;

-- name: remove_revocations
-- Revocations by hand that have no effect after all.
delete from revocation r using unnest($1::int[], $2::bigint[]) as n (tenant_id, seq) where r.tenant_id = n.tenant_id and r.seq = n.seq;
