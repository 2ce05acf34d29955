-- name: statements_by_id
-- What stands for these ids of one tenant; phantoms, which only voids know of, are not there.
select id, fp, seq from statement where tenant_id = $1 and id = any($2::uuid[]) and fp is not null
