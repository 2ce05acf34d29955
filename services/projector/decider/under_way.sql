-- Decisions made and not yet both folded and passed by T: until then nobody decides about their IFIs.

-- name: settle
-- Those that T ($1, as the greatest seq it has passed) has passed. They are found once (`materialized`), in the order of their index, whatever statistics say.
with done as materialized (
    select ctid as place from under_way where folded <= $1 order by folded limit $2 for update skip locked
)
delete from under_way u using done where u.ctid = done.place;

-- name: blocked
-- Of these IFIs those that something is under way about.
select distinct u.ifi from under_way_ifi u where u.tenant_id = $1 and u.ifi = any($2::uuid[]);

-- name: add
with added as (
    insert into under_way (tenant_id, id, ifis, key, partition, value)
    select $1, n.id, n.ifis::uuid[], n.key, n.partition, n.value
    from unnest($2::uuid[], $3::text[], $4::bytea[], $5::smallint[], $6::bytea[]) as n (id, ifis, key, partition, value)
    on conflict (tenant_id, id) do nothing
    returning tenant_id, id, ifis
)
insert into under_way_ifi (tenant_id, ifi, id) select a.tenant_id, i.ifi, a.id from added a cross join unnest(a.ifis) as i (ifi);

-- name: sent
-- The log has said that it keeps these.
update under_way u set sent = clock_timestamp() from unnest($1::int[], $2::uuid[]) as n (tenant_id, id) where u.tenant_id = n.tenant_id and u.id = n.id;

-- name: left_behind
-- Those of which nobody knows whether the log keeps them, some time after they were made or tried again; and those that it said it keeps, though T ($3, as a
-- moment) is far past that and they were not met.
with left_behind as materialized (
    select ctid as place from under_way
    where folded is null and made < statement_timestamp() - $1::interval and (sent is null or sent < $3::timestamptz)
    order by made limit $2 for update skip locked
)
update under_way u set made = clock_timestamp() from left_behind where u.ctid = left_behind.place
returning u.tenant_id, u.id, u.key, u.partition, u.value;
