-- What concerns every learner of a tenant, spread over them page by page.

-- name: take
-- The sweep to go on with: one that has begun before those that have not.
select id, due, keys, activities, after from sweep
where tenant_id = $1 and due <= $2 order by after is null, id limit 1 for update skip locked;

-- name: others
-- Those not begun that may go along with it.
select id, due, keys, activities from sweep
where tenant_id = $1 and due <= $2 and id <> $3 and after is null order by id for update skip locked;

-- name: merge
-- They are one now.
with gone as (delete from sweep where tenant_id = $1 and id = any($6::bigint[]))
update sweep set due = $3, keys = $4, activities = $5 where tenant_id = $1 and id = $2;

-- name: page
-- The next learners, read from where the page before ended (`coalesce`: an `or` would be no bound of the index, and each page would read all before it).
select id from learner where tenant_id = $1 and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') order by id limit $3;

-- name: wake
-- Wake them for each of these keys.
insert into wake (tenant_id, ifi, key, activity, due, at, cause)
select $1, l.id, k.key, '00000000-0000-0000-0000-000000000000', $4, null, null
from unnest($2::uuid[]) as l (id) cross join unnest($3::bigint[]) as k (key)
on conflict do nothing;

-- name: wake_for_courses
-- Wake those who have evidence about these activities.
insert into wake (tenant_id, ifi, key, activity, due, at, cause)
select distinct $1::int, l.id, 0::bigint, a.activity, $4::bigint, null::bigint, null::uuid
from unnest($2::uuid[]) as l (id)
join ifi i on i.tenant_id = $1 and i.learner = l.id
cross join unnest($3::uuid[]) as a (activity)
where exists (select from evidence e where e.tenant_id = $1 and e.ifi = i.key and e.activity = a.activity)
on conflict do nothing;

-- name: go_on
update sweep set after = $3 where tenant_id = $1 and id = $2;

-- name: finish
delete from sweep where tenant_id = $1 and id = $2;
