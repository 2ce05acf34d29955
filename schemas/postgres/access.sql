-- What `testamur_web` may do in the schema `testamur`, and in the versions of projections there are. Said again after each migration: a table that is not
-- named here is its owner's alone. So are the log, keys, rates and settings: no query of a request has anything to do with them.

grant usage on schema testamur to testamur_web;
grant select on projection, projection_cursor, record_span, dead_letter to testamur_web;
grant select, insert, update, delete on document, quarantined, issuer, credential_visibility to testamur_web;

select testamur.guard(c.oid::regclass)
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
where c.relnamespace = 'testamur'::regnamespace and c.relkind in ('r', 'p');

select testamur.guard_version(n.nspname) from pg_namespace n join testamur.projection p on n.nspname = p.name || '_' || p.version;

select testamur.guard_views();
