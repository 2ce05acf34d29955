-- Documents. A write locks its row first; of two that make the same document one finds it made, and looks again.

-- name: read
select content, content_type, etag, updated
from document
where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4 and registration = $5 and name = $6

-- name: lock
-- The document, held still until the end of the transaction; its content only where it is wanted.
select case when $7 then content else '' end as content, content_type, etag
from document
where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4 and registration = $5 and name = $6
for update

-- name: make
-- No row when somebody else has made it meanwhile.
insert into document (tenant_id, resource, agent, activity, registration, name, id, agent_ifi, activity_id, content, content_type, etag, updated)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, clock_instant())
on conflict do nothing
returning updated

-- name: replace
update document
set content = $7, content_type = $8, etag = $9, version = version + 1, updated = greatest(clock_instant(), updated + 1)
where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4 and registration = $5 and name = $6
returning updated

-- name: remove
delete from document
where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4 and registration = $5 and name = $6

-- name: beside
-- How many documents there are beside a new one, counted up to a limit.
select count(*)
from (select from document where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4 limit $5) counted

-- name: ids
-- The ids in a context, of all registrations unless one is given, and when the last of them was stored.
select coalesce(array_agg(distinct id), '{}') as ids, max(updated) as updated
from document
where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4
    and ($5::text is null or registration = $5) and ($6::bigint is null or updated > $6)

-- name: remove_all
-- Locked in one order, so that two of these never wait for each other.
with doomed as (
    select registration, name
    from document
    where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4 and ($5::text is null or registration = $5)
    order by registration, name
    for update
)
delete from document
using doomed
where tenant_id = $1 and resource = $2 and agent = $3 and activity = $4
    and document.registration = doomed.registration and document.name = doomed.name
