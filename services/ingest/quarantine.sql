-- Statements set aside.

-- name: keep
-- Make the rows that are not there yet, all of them or, where there is no room, none; say whether there was room, and which were sent on before.
with asked as (
    select distinct on (n.id) n.*
    from unnest($2::uuid[], $3::uuid[], $4::bytea[], $5::text[], $6::text[]) as n (id, statement_id, raw, sent, faults)
    order by n.id
), missing as (
    select a.* from asked a where not exists (select from quarantined q where q.tenant_id = $1 and q.id = a.id)
), room as (
    select
        (select count(*) from missing) = 0
        or (select count(*) from quarantined q where q.tenant_id = $1 and q.redriven is null) + (select count(*) from missing) <= $12
        and (select coalesce(sum(q.bytes), 0) from quarantined q where q.tenant_id = $1 and q.redriven is null)
            + (select sum(octet_length(m.raw)) from missing m) <= $13 as enough
), kept as (
    insert into quarantined (tenant_id, id, statement_id, credential, authority, scopes, xapi, received, raw, sent, faults)
    select $1, m.id, m.statement_id, $7, $8::json, $9::text[], $10, $11, m.raw, string_to_array(m.sent, ','), m.faults::json
    from missing m, room
    where room.enough
    on conflict do nothing
)
select
    room.enough,
    array(select q.id from asked a join quarantined q on q.tenant_id = $1 and q.id = a.id where q.redriven is not null) as sent_on
from room

-- name: find
-- One that was set aside, as it was sent and by whom.
select id, statement_id, credential, authority::text as authority, scopes, xapi, raw, sent from quarantined where tenant_id = $1 and id = $2

-- name: redriven
-- It was sent on, for the first time or again.
update quarantined set redriven = $3, redriven_by = $4 where tenant_id = $1 and id = $2 and redriven is null
