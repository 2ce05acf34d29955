-- Credentials and the entries of the ledger. `{through}` is a piece of learners.sql.

-- name: entries
-- The entries of these IFIs' awards of programmes, each award's in order.
select d.ifi, d.matter, d.n, d.k, d.seq, d.id, d.state, d.since, d.valid_until, d.version, d.known_at, d.reason, d.body
from decision d
where d.tenant_id = :tenant and d.ifi = any(:ifis) and d.kind = 'programme' and d.accepted and d.seq <= :known {of_matter}
order by d.seq

-- name: of_matter
-- Of one programme.
and d.matter = :matter

-- name: one
-- One credential, whose it is, and what was folded.
select {through} as through, a.ifi, a.matter, a.n, a.state, a.closed, a.version, a.credential, who.learner, who.identity
from (select) once
left join award a on a.tenant_id = :tenant and a.credential = :credential
left join ifi who on who.tenant_id = :tenant and who.key = a.ifi

-- name: credentials
-- A page of these IFIs' credentials in the order of their issue.
select a.ifi, a.matter, a.n, a.credential, a.issued_seq
from award a
where a.tenant_id = :tenant and a.ifi = any(:ifis) and a.credential is not null and a.issued_seq <= :known and a.issued_seq > :after
order by a.issued_seq
limit :limit

-- name: show
-- Whether a credential is listed for everybody.
insert into credential_visibility (tenant_id, credential, public) values (:tenant, :credential, :public)
on conflict (tenant_id, credential) do update set public = excluded.public
