-- name: tenant_by_name
-- The number of a tenant.
select id from tenant where name = $1
