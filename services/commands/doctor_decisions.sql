-- What `testamur doctor` asks about decisions. It reads only.

-- name: count
-- How many decisions there are that count, revocations by hand aside, which nobody evaluated.
select count(*) from decision d where d.accepted and d.body ? 'inputs';

-- name: sample
-- $1 of them, chosen by nothing but their ids, those of one moment together; null: all.
select d.tenant_id, t.name as tenant, d.known_at, d.ifi, d.kind, d.matter, d.n, d.k, d.state, d.body::text as body, i.identity
from (select * from decision where accepted and body ? 'inputs' order by case when $1::bigint is null then null else md5(id::text) end limit $1) d
join tenant t on t.id = d.tenant_id
join ifi i on i.tenant_id = d.tenant_id and i.key = d.ifi
order by d.tenant_id, d.known_at, d.seq;
