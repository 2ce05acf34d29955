-- The fingerprint of the secret that a database was first used with.

-- name: remember
-- Remember the fingerprint, unless there is one.
insert into secret_fingerprint (fingerprint) values ($1) on conflict do nothing;

-- name: fingerprint
-- The fingerprint that stands.
select fingerprint from secret_fingerprint;
