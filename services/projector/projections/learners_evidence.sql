-- Evidence rows. A run locks every row it may touch in one sorted statement (its own ids and the targets of voids and assurances); later statements decide.

-- name: stage
-- Where a run is put before it meets the table.
create temp table if not exists run_evidence (like evidence) on commit delete rows;

-- name: upsert
-- Insert what is new and lock what is there; how many were new.
with fresh as (
    insert into evidence (tenant_id, statement_id, seq, ifi, activity, at, authority, voiding, class, facts)
    select tenant_id, statement_id, seq, ifi, activity, at, authority, voiding, class, facts
    from run_evidence order by tenant_id, statement_id
    on conflict (tenant_id, statement_id) do update set seq = evidence.seq where false
    returning 1
)
select count(*) from fresh;

-- name: met
-- The statements of the run whose ids were there already, with what stands there.
select r.tenant_id, r.statement_id, r.seq, e.seq as stands, e.ifi, e.activity, e.at, e.facts
from run_evidence r join evidence e on e.tenant_id = r.tenant_id and e.statement_id = r.statement_id
where r.authority is not null and e.seq <> r.seq;

-- name: replace
-- Earlier copies and arrived targets take the place of what was there.
update evidence e set seq = r.seq, ifi = r.ifi, activity = r.activity, at = r.at, authority = r.authority, voiding = r.voiding, class = r.class, facts = r.facts
from run_evidence r
where r.authority is not null and e.tenant_id = r.tenant_id and e.statement_id = r.statement_id and r.seq < e.seq;

-- name: forget
-- The voids and assurances of copies that fell, and whom they were about.
with fallen as materialized (select * from unnest($1::int[], $2::uuid[]) as fallen (tenant_id, id)),
voids as (
    delete from void v using fallen where v.tenant_id = fallen.tenant_id and v.voiding = fallen.id returning v.tenant_id, v.target
),
assurances as (
    delete from assurance a using fallen where a.tenant_id = fallen.tenant_id and a.assuring = fallen.id returning a.tenant_id, a.target
)
select tenant_id, target from voids union select tenant_id, target from assurances;

-- name: lock
-- Lock targets that were found late, so that nobody else judges them now.
select 1 from evidence e
where (e.tenant_id, e.statement_id) in (select * from unnest($1::int[], $2::uuid[]))
order by e.tenant_id, e.statement_id for update;

-- name: add_voids
-- The voids that stand; in force or not.
insert into void (tenant_id, target, voiding, seq, authority, trusted)
select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::boolean[]);

-- name: add_assurances
-- The assurances of trusted records.
insert into assurance (tenant_id, target, assuring, seq, level)
select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::smallint[]);

-- name: assured_by
-- Whom these statements assure.
select a.tenant_id, a.target from assurance a
where (a.tenant_id, a.assuring) in (select * from unnest($1::int[], $2::uuid[]));

-- name: judge_voided
-- Which void of each of these is in force: the first by the target's own authority or by one with lrs:void, unless the target itself voids.
update evidence e set voided = judged.voided
from (
    select t.tenant_id, t.statement_id, (
        select min(v.seq) from void v
        where v.tenant_id = t.tenant_id and v.target = t.statement_id and t.voiding is null and (v.trusted or v.authority = t.authority)
    ) as voided
    from evidence t
    where (t.tenant_id, t.statement_id) in (select * from unnest($1::int[], $2::uuid[]))
) judged
where e.tenant_id = judged.tenant_id and e.statement_id = judged.statement_id and e.voided is distinct from judged.voided;

-- name: judge_assured
-- The greatest level that standing assurances give each of these; which (IFI, activity) pairs they are about, and where.
with changed as (
    update evidence e set assured = judged.assured
    from (
        select t.tenant_id, t.statement_id, (
            select max(a.level) from assurance a
            join evidence s on s.tenant_id = a.tenant_id and s.statement_id = a.assuring and s.voided is null
            where a.tenant_id = t.tenant_id and a.target = t.statement_id
        ) as assured
        from evidence t
        where (t.tenant_id, t.statement_id) in (select * from unnest($1::int[], $2::uuid[]))
    ) judged
    where e.tenant_id = judged.tenant_id and e.statement_id = judged.statement_id and e.assured is distinct from judged.assured
)
select e.tenant_id, e.ifi, e.activity, e.at, e.seq from evidence e
where (e.tenant_id, e.statement_id) in (select * from unnest($1::int[], $2::uuid[])) and e.ifi is not null;
