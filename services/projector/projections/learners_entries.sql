-- Entries and the evidence they are folded from.

-- name: rows
-- The evidence about these entries by the entry's place in the question; of an IFI that has blocks about it one row that says no more.
select p.n::int, i.key, e.statement_id, e.seq, e.at, e.assured, e.voided is not null as voided, e.facts
from unnest($1::int[], $2::uuid[], $3::uuid[]) with ordinality as p (tenant_id, learner, activity, n)
join ifi i on i.tenant_id = p.tenant_id and i.learner = p.learner
cross join lateral (
    select exists (select from block b where b.tenant_id = p.tenant_id and b.ifi = i.key and b.activity = p.activity) as blocked
) has
left join lateral (
    select * from evidence where tenant_id = p.tenant_id and ifi = i.key and activity = p.activity
    limit case when has.blocked then 0 end -- as a condition it would be asked of every row, after reading it
) e on true
where has.blocked or e.statement_id is not null;

-- name: entries_of
-- The entries that learners have, and those that the evidence of their IFIs makes.
select e.tenant_id, e.learner, e.activity
from unnest($1::int[], $2::uuid[]) as l (tenant_id, id) join entry e on e.tenant_id = l.tenant_id and e.learner = l.id
union
select i.tenant_id, i.learner, e.activity
from unnest($1::int[], $2::uuid[]) as l (tenant_id, id)
join ifi i on i.tenant_id = l.tenant_id and i.learner = l.id
join evidence e on e.tenant_id = i.tenant_id and e.ifi = i.key;

-- name: begin
-- Entries that nothing stands behind but what this run brings; which were made. Where a pair has blocks these must take in what came: not here.
insert into entry (tenant_id, learner, activity, status, first_at, line)
select n.tenant_id, n.learner, n.activity, n.status, n.first_at, n.line
from unnest($1::int[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bytea[], $7::uuid[])
    as n (tenant_id, learner, activity, status, first_at, line, ifi)
where not exists (select from block b where b.tenant_id = n.tenant_id and b.ifi = n.ifi and b.activity = n.activity)
on conflict (tenant_id, learner, activity) do nothing
returning tenant_id, learner, activity;

-- name: put
-- Entries as they are now.
insert into entry (tenant_id, learner, activity, status, first_at, line)
select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bytea[])
on conflict (tenant_id, learner, activity) do update set status = excluded.status, first_at = excluded.first_at, line = excluded.line
where entry.line is distinct from excluded.line;

-- name: forget
-- Entries without standing evidence.
delete from entry e using unnest($1::int[], $2::uuid[], $3::uuid[]) as gone (tenant_id, learner, activity)
where e.tenant_id = gone.tenant_id and e.learner = gone.learner and e.activity = gone.activity;
