-- name: ensure_tenant
-- Make the tenant unless it is there; give its id.
insert into tenant (name) values ($1) on conflict (name) do update set name = excluded.name returning id

-- name: insert_key
-- A new key; fails when its id is taken.
insert into api_key (tenant_id, id, name, secret_hash, scopes, authority, expires_at, rate, quarantine)
values ($1, $2, $3, $4, $5, $6::jsonb, now() + $7::interval, $8, $9)

-- name: set_quarantine
-- Whether invalid statements of a key are set aside; gives the key if it is in force.
update api_key set quarantine = $2 where id = $1 and revoked_at is null and (expires_at is null or expires_at > now()) returning id

-- name: rotate_key
-- Another secret; the one until now becomes the former one, for as long as is said.
update api_key set
    secret_hash = $2,
    former_hash = case when $3::interval > interval '0' then secret_hash end,
    former_until = case when $3::interval > interval '0' then now() + $3::interval end
from tenant
where api_key.id = $1 and tenant.id = api_key.tenant_id and revoked_at is null and (expires_at is null or expires_at > now())
returning tenant.name as tenant, api_key.scopes

-- name: revoke_former_secret
-- Only the secret of now is left; gives the key if another was in force.
update api_key set former_hash = null, former_until = null where id = $1 and revoked_at is null and former_until > now() returning id

-- name: put_bootstrap_key
-- The administrator key as the settings give it: made, or brought back to what they say.
insert into api_key (tenant_id, id, name, secret_hash, scopes, authority) values ($1, $2, $3, $4, $5, $6::jsonb)
on conflict (id) do update set
    secret_hash = excluded.secret_hash, scopes = excluded.scopes, revoked_at = null, expires_at = null, former_hash = null, former_until = null
where (api_key.secret_hash, api_key.scopes) is distinct from (excluded.secret_hash, excluded.scopes)
    or num_nonnulls(api_key.revoked_at, api_key.expires_at, api_key.former_hash) > 0

-- name: lock_bootstrap
-- One process at a time makes the first key.
select pg_advisory_xact_lock(hashtext('testamur bootstrap key'))

-- name: any_key
-- Whether a key was ever made.
select exists (select 1 from api_key)

-- name: list_keys
-- All keys, without anything secret.
select
    api_key.id, api_key.name, tenant.name as tenant, api_key.scopes, api_key.authority::text as authority, api_key.rate, api_key.quarantine, api_key.created_at,
    api_key.expires_at, case when api_key.former_until > now() then api_key.former_until end as former_until, api_key.last_used_at, api_key.revoked_at
from api_key
join tenant on tenant.id = api_key.tenant_id
order by api_key.created_at, api_key.id

-- name: revoke_key
-- From now on the key opens nothing; gives its id if it was in force.
update api_key set revoked_at = now() where id = $1 and revoked_at is null returning id
