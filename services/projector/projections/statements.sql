-- The searchable store. A run locks every row it may touch in one sorted statement (its own ids and the targets of its voids); later statements decide.

-- name: stage
-- Where a run is put before it meets the table.
create temp table run_statement (like statement) with (toast_tuple_target = 4080) on commit delete rows;
alter table run_statement alter column raw set storage external;

-- name: upsert
-- Insert what is new and lock what is there; the command's status tells how many were new.
insert into statement (tenant_id, id, seq, fp, actor, verb, activity, registration, authority, voiding, refers, flags, version, raw)
select tenant_id, id, seq, fp, actor, verb, activity, registration, authority, voiding, refers, flags, version, raw
from run_statement order by tenant_id, id
on conflict (tenant_id, id) do update set seq = statement.seq where false;

-- name: met
-- The statements of the run whose ids were there already, with what stands there.
select r.tenant_id, r.id, r.seq, r.fp, s.seq as stands, s.fp as stands_fp
from run_statement r join statement s on s.tenant_id = r.tenant_id and s.id = r.id
where r.raw is not null and s.seq <> r.seq;

-- name: replace
-- Earlier copies and arrived targets take the place of what was there.
update statement s set seq = r.seq, fp = r.fp, actor = r.actor, verb = r.verb, activity = r.activity, registration = r.registration,
    authority = r.authority, voiding = r.voiding, refers = r.refers, flags = r.flags, version = r.version, raw = r.raw
from run_statement r
where r.raw is not null and s.tenant_id = r.tenant_id and s.id = r.id and r.seq < s.seq;

-- name: forget_voids
-- The voids of copies that fell, and whom they voided.
delete from void v using unnest($1::int[], $2::uuid[]) as fallen (tenant_id, id)
where v.tenant_id = fallen.tenant_id and v.voiding = fallen.id
returning v.tenant_id, v.target;

-- name: lock
-- Lock targets that were found late, so that nobody else judges them now.
select 1 from statement s
where (s.tenant_id, s.id) in (select * from unnest($1::int[], $2::uuid[]))
order by s.tenant_id, s.id for update;

-- name: add_voids
insert into void (tenant_id, target, voiding, seq, authority, trusted)
select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::boolean[]);

-- name: judge
-- Which void of each of these is in force: the first by the target's own authority or by one with lrs:void, unless the target itself voids.
update statement s set voided = judged.voided
from (
    select t.tenant_id, t.id, (
        select min(v.seq) from void v
        where v.tenant_id = t.tenant_id and v.target = t.id and t.voiding is null and (v.trusted or v.authority = t.authority)
    ) as voided
    from statement t
    where (t.tenant_id, t.id) in (select * from unnest($1::int[], $2::uuid[]))
) judged
where s.tenant_id = judged.tenant_id and s.id = judged.id and s.voided is distinct from judged.voided;

-- name: add_conflicts
insert into conflict (tenant_id, id, seq, fp, stands)
select * from unnest($1::int[], $2::uuid[], $3::bigint[], $4::bytea[], $5::bigint[])
on conflict do nothing;

-- name: known_authorities
-- Which of these authorities were first met no later.
select a.tenant_id, a.key, a.seq from authority a
join unnest($1::int[], $2::bigint[], $3::bigint[]) as met (tenant_id, key, seq) on a.tenant_id = met.tenant_id and a.key = met.key and a.seq <= met.seq;

-- name: add_authorities
insert into authority (tenant_id, key, seq, agent)
select met.tenant_id, met.key, met.seq, met.agent
from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bytea[]) as met (tenant_id, key, seq, agent)
order by met.tenant_id, met.key
on conflict (tenant_id, key) do update set agent = excluded.agent, seq = excluded.seq where excluded.seq < authority.seq;
