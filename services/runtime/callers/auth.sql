-- name: api_key_by_id
-- The key with this id, while it is neither revoked nor expired, and the tenant it acts for. How long it and its former secret are still good is in seconds.
select
    api_key.id, api_key.tenant_id, tenant.name as tenant, api_key.secret_hash, api_key.scopes, api_key.authority::text as authority, api_key.rate, api_key.quarantine,
    extract(epoch from api_key.expires_at - now())::float8 as left_s,
    api_key.former_hash, extract(epoch from api_key.former_until - now())::float8 as former_left_s
from api_key
join tenant on tenant.id = api_key.tenant_id
where api_key.id = $1 and api_key.revoked_at is null and (api_key.expires_at is null or api_key.expires_at > now())
