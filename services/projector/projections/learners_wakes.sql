-- The queue of deciders: whom to evaluate again. Unversioned tables, written by the version in use alone.

-- name: marks
-- The mark of what is in use in each of these tenants, null where nothing ever was; no row at all for a version that is not in use itself.
select n.tenant_id, w.changed
from unnest($1::int[]) as n (tenant_id) left join waking w on w.tenant_id = n.tenant_id
where exists (select from testamur.projection p where p.name = 'learners' and p.state = 'active' and current_schema() = p.name || '_' || p.version);

-- name: mark
-- What is remembered under the mark before holds no more.
insert into waking (tenant_id, changed) select tenant_id, gen_random_uuid() from unnest($1::int[]) as n (tenant_id)
on conflict (tenant_id) do update set changed = excluded.changed;

-- name: keys
-- The fact keys of all programmes of a tenant.
select array(select distinct key from programme p cross join unnest(p.keys) as key where p.tenant_id = $1 and p.accepted);

-- name: units
-- The cmi5 courses that programmes of a tenant name, as they were ever described: they have keys too.
select (p.body -> 'programme')::text as programme, c.body as course
from programme p join course c on c.tenant_id = p.tenant_id and c.activity = any(p.courses)
where p.tenant_id = $1 and p.accepted;

-- name: courses
-- The activities that were described as courses.
select array(select distinct activity from course where tenant_id = $1);

-- name: touched
-- What these statements say, and the seqs of whatever happened to them after they were stored: the void in force, assurances, and the ends of these.
select e.tenant_id, e.statement_id, e.seq, e.ifi, e.activity, e.facts, array(
    select later.seq
    from (
        select e.voided as seq
        union
        select a.seq from assurance a where a.tenant_id = e.tenant_id and a.target = e.statement_id
        union
        select s.voided from assurance a join evidence s on s.tenant_id = a.tenant_id and s.statement_id = a.assuring
        where a.tenant_id = e.tenant_id and a.target = e.statement_id
    ) later
    where later.seq > e.seq
) as later
from unnest($1::int[], $2::uuid[]) as n (tenant_id, id) join evidence e on e.tenant_id = n.tenant_id and e.statement_id = n.id
where e.seq < 9223372036854775807; -- which a phantom has

-- name: read_by
-- The keys that credentials of these programmes answer to, of any version, by the programme's place in the question.
select distinct n.n::int, key
from unnest($1::int[], $2::text[]) with ordinality as n (tenant_id, iri, n)
join programme p on p.tenant_id = n.tenant_id and p.iri = n.iri
cross join unnest(p.award_keys) as key
where p.accepted;

-- name: folded
-- Decisions under way that are folded now.
with arrived as materialized (
    select u.tenant_id, u.id, n.seq
    from unnest($1::int[], $2::uuid[], $3::bigint[]) as n (tenant_id, id, seq) join under_way u on u.tenant_id = n.tenant_id and u.id = n.id
    where coalesce(u.folded, 0) = 0 -- not `is null`: the index of those that are not folded leads to all of them
    order by u.tenant_id, u.id, n.seq
    for update of u
)
update under_way u set folded = arrived.seq from arrived where u.tenant_id = arrived.tenant_id and u.id = arrived.id;

-- name: tell
-- Let those who wait for events look.
select pg_notify('testamur_decided', '');

-- name: queue
-- New rows; one that is there already is as new.
insert into wake (tenant_id, ifi, key, activity, due, at, cause)
select * from unnest($1::int[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::bigint[], $7::uuid[]) as n (tenant_id, ifi, key, activity, due, at, cause)
order by n.tenant_id, n.ifi, n.key, n.activity, n.due
on conflict (tenant_id, ifi, key, activity, due) do update set
    at = case when wake.at is null or excluded.at is null then null else least(wake.at, excluded.at) end, cause = excluded.cause;

-- name: of_courses
-- The programmes that name these cmi5 courses.
select distinct p.tenant_id, p.iri
from unnest($1::int[], $2::uuid[]) as n (tenant_id, activity) join programme p on p.tenant_id = n.tenant_id and n.activity = any(p.courses)
where p.accepted;

-- name: sweep
-- Everybody, once all is folded that was folded before anybody could know of the change; and again when a version comes into force after that.
insert into sweep (tenant_id, due, keys, activities)
select n.tenant_id, coalesce(n.effective, greatest(n.due, folded.stored)), n.keys::bigint[], n.activities::uuid[]
from unnest($1::int[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) as n (tenant_id, due, effective, keys, activities)
cross join (
    select max(c.last_stored) as stored from testamur.projection_cursor c where c.name = 'learners' and current_schema() = c.name || '_' || c.version
) folded
where n.effective is null or n.effective > greatest(n.due, folded.stored);
