-- name: seen
-- Consistent-Through, and where each active projection stands in each partition: one statement, hence one snapshot.
select consistent_through() as through, cursor.name, cursor.version, cursor.partition, cursor.position, cursor.last_stored, cursor.conflicts, cursor.halted
from projection
join projection_cursor cursor on cursor.name = projection.name and cursor.version = projection.version
where projection.state = 'active'

-- name: awaited
-- Somebody waits for a projection that gathers records before it folds them.
select pg_notify('testamur_awaited', $1)
