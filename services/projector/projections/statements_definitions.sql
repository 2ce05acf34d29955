-- Definitions of activities. Whatever the order, a row ends with the latest day and the least seq of all that sent it.

-- name: known
-- Which of these definitions need no change, with what the table holds of them.
select d.tenant_id, d.activity, d.hash, d.day, d.seq from definition d
join unnest($1::int[], $2::uuid[], $3::uuid[], $4::int[], $5::bigint[]) as sent (tenant_id, activity, hash, day, seq)
    on d.tenant_id = sent.tenant_id and d.activity = sent.activity and d.hash = sent.hash and d.day >= sent.day and d.seq <= sent.seq;

-- name: add
insert into definition (tenant_id, activity, hash, day, seq, definition)
select sent.tenant_id, sent.activity, sent.hash, sent.day, sent.seq, sent.definition
from unnest($1::int[], $2::uuid[], $3::uuid[], $4::int[], $5::bigint[], $6::bytea[]) as sent (tenant_id, activity, hash, day, seq, definition)
order by sent.tenant_id, sent.activity, sent.hash
on conflict (tenant_id, activity, hash) do update
set day = greatest(definition.day, excluded.day), seq = least(definition.seq, excluded.seq)
where definition.day < excluded.day or definition.seq > excluded.seq;
