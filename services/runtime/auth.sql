-- name: api_key_by_id
-- The key with this id, while it is not revoked, and the tenant it acts for.
select api_key.id, api_key.tenant_id, tenant.name as tenant, api_key.secret_hash, api_key.scopes, api_key.authority::text as authority
from api_key
join tenant on tenant.id = api_key.tenant_id
where api_key.id = $1 and api_key.revoked_at is null
