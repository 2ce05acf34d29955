-- Whether tenants are kept apart by Postgres too (schemas/postgres/0008_row_level_security.sql).

-- name: separated
select testamur.separated();

-- name: make_web_role
-- What stands in the way; null: nothing.
select testamur.make_web_role();

-- name: user
select current_user;
