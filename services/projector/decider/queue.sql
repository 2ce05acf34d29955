-- Whom to judge, and when. T is the instant up to which the learners projection has folded everything.

-- name: look
-- What there is to do. Reads only; no row: the version in use is not of this code ($1: its fingerprint).
with here as materialized (
    select min(c.last_stored) as through, max(c.last_stored) as head
    from projection p join projection_cursor c on c.name = p.name and c.version = p.version
    where p.name = 'learners' and p.state = 'active' and p.fingerprint = $1
)
select here.through,
    exists (select from timer where at <= here.through) as timers,
    array(select t.id from tenant t where exists (select from sweep s where s.tenant_id = t.id and s.due <= here.through)) as sweeping,
    array( -- one look-up for each tenant, however many rows wait
        select t.id from tenant t
        where (select w.due from wake w where w.tenant_id = t.id and w.due <= here.through order by w.due limit 1) is not null
    ) as woken,
    (select count(*) from (select from under_way where folded is null order by made limit $2) u)
        + (select count(*) from (select from under_way where folded is not null order by folded limit $2) u) as under_way,
    least(
        (select min(w.due) from tenant t cross join lateral (
            select due from wake where tenant_id = t.id and due > here.through and due <= here.head order by due limit 1) w),
        (select min(due) from sweep where due > here.through and due <= here.head),
        (select min(at) from timer where at > here.through and at <= here.head),
        (select min(folded) >> 8 from under_way where folded > (here.through << 8 | 255))
    ) as wanted
from here
where here.through is not null;

-- name: through
-- T, and the version in use kept in use until this transaction ends; no row: it is not of this code ($1), or is to be replaced: whoever waits for that is not
-- overtaken, as a row lock would be by deciders of whom there always is one.
select (
    select min(c.last_stored) from projection_cursor c where c.name = p.name and c.version = p.version
) as through
from projection p
where p.name = 'learners' and p.state = 'active' and p.fingerprint = $1 and pg_try_advisory_xact_lock_shared(hashtext('testamur deciding'))
for share of p skip locked;

-- name: want
-- Have all partitions pass an instant.
select pg_notify('testamur_wanted', $1::text);

-- name: due_timers
-- Timers that T has passed.
select tenant_id, learner, kind, matter, at from timer where at <= $1 order by at limit $2 for update skip locked;

-- name: ring
-- These timers wake their learners.
with rung as (
    delete from timer t using unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::bigint[]) as n (tenant_id, learner, kind, matter, at)
    where t.tenant_id = n.tenant_id and t.learner = n.learner and t.kind = n.kind and t.matter = n.matter and t.at = n.at
)
insert into wake (tenant_id, ifi, key, activity, due, at, cause)
select n.tenant_id, n.learner, n.key, '00000000-0000-0000-0000-000000000000', n.at, null, null
from unnest($1::int[], $2::uuid[], $5::bigint[], $6::bigint[]) as n (tenant_id, learner, at, key)
on conflict do nothing;

-- name: claim
-- IFIs that were woken and of whom nothing is under way, longest due first, locked against other deciders until the end of the transaction.
select ripe.ifi
from (
    select w.ifi, min(w.due) as due
    from (
        select ifi, due from wake
        where tenant_id = $1 and due <= $2 and ifi <> all($5::uuid[])
            and (select u.id from under_way_ifi u where u.tenant_id = wake.tenant_id and u.ifi = wake.ifi limit 1) is null -- one look-up for each
        order by due limit $3
    ) w
    group by w.ifi order by 2 offset 0
) ripe
where pg_try_advisory_xact_lock(('x' || left(replace(ripe.ifi::text, '-', ''), 16))::bit(64)::bigint # $1)
limit $4;

-- name: in_front
-- Those of whom `claim` chooses, if there are more behind them: when it could lock none, others have them all.
with w as materialized (
    select ifi from wake
    where tenant_id = $1 and due <= $2 and ifi <> all($4::uuid[])
        and (select u.id from under_way_ifi u where u.tenant_id = wake.tenant_id and u.ifi = wake.ifi limit 1) is null
    order by due limit $3
)
select distinct ifi from w where (select count(*) from w) >= $3;

-- name: lock
-- Lock more IFIs; those that somebody else has are not among the answers.
select n.ifi from unnest($2::uuid[]) as n (ifi) where pg_try_advisory_xact_lock(('x' || left(replace(n.ifi::text, '-', ''), 16))::bit(64)::bigint # $1);

-- name: rows
-- Why these were woken.
select w.ifi, w.key, w.activity, w.due, w.at, w.cause, w.place
from unnest($2::uuid[]) as n (ifi)
cross join lateral (
    select *, ctid as place from wake where tenant_id = $1 and ifi = n.ifi and due + 0 <= $3 offset 0 -- none is reached by `due`
) w
limit $4;

-- name: forget
-- Rows that were read, where they were read (`+ 0`: no index leads there sooner): one that the fold has changed since stays.
delete from wake w using unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::bigint[], $7::tid[]) as n (ifi, key, activity, due, at, place)
where w.ctid = n.place and w.tenant_id + 0 = $1 and w.ifi = n.ifi and w.key = n.key and w.activity = n.activity and w.due + 0 = n.due
    and w.at is not distinct from n.at;

-- name: set_timers
-- When time alone may change something.
insert into timer (tenant_id, learner, kind, matter, at)
select $1, n.learner, n.kind, n.matter, n.at from unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[]) as n (learner, kind, matter, at)
order by n.learner, n.kind, n.matter
on conflict (tenant_id, learner, kind, matter) do update set at = excluded.at where timer.at <> excluded.at;

-- name: with_timers
-- Those of these learners who have any.
select n.learner from unnest($2::uuid[]) as n (learner) where exists (select from timer t where t.tenant_id = $1 and t.learner = n.learner);

-- name: drop_timers
-- Nothing changes by time alone.
delete from timer t using unnest($2::uuid[], $3::text[], $4::text[]) as n (learner, kind, matter)
where t.tenant_id = $1 and t.learner = n.learner and t.kind = n.kind and t.matter = n.matter;

-- name: tenants
select id, name from tenant;

-- name: length
-- How many rows wait, at most $1 of them counted, and the least due.
select (select count(*) from (select from wake limit $1) w) as n,
    (select min(w.due) from tenant t cross join lateral (select due from wake where tenant_id = t.id order by due limit 1) w) as oldest;
