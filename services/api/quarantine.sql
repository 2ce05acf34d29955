-- Statements that were set aside.

-- name: page
-- A page of one tenant's, in the order they came.
select id, statement_id, received, credential, xapi, faults::text as faults, redriven, redriven_by
from quarantined
where tenant_id = :tenant and {which} {after_row}
order by received, id
limit :limit

-- name: waiting
redriven is null

-- name: sent_on
redriven is not null

-- name: after_row
and (received, id) > (:received, :id)

-- name: one
-- One, with its bytes.
select id, statement_id, received, credential, xapi, faults::text as faults, redriven, redriven_by, raw
from quarantined where tenant_id = :tenant and id = :id

-- name: remove
-- Gone for good; gives its id if it was there.
delete from quarantined where tenant_id = :tenant and id = :id returning id
