-- Events: entries of the ledger that count, and versions of programmes that were published, in the order of the log. `{through}` is a piece of learners.sql.

-- name: events
-- What follows `after`, of at most `scan` rows of either kind, up to what is both folded here and passed by Consistent-Through; and the newest there is.
-- An event says what was known when it was decided: later entries of its award change nothing of it.
with now as materialized (
    select {through} as through, least({through}, consistent_through()) as clamp
), known as materialized (
    select through, clamp, clamp << 8 | 255 as most from now
), entry as (
    select d.seq, d.id, d.kind, d.matter, d.ifi, d.n, d.k, d.state, d.version, d.status, d.reason, d.body::text as body,
        a.credential, before.state as previous, held.since as held_since, held.valid_until as held_until,
        case
            when d.kind = 'course' then case when d.state = 'revoked' then 'completion.retracted' else 'completion.recorded' end
            when a.credential is null then case when d.state in ('expired', 'revoked', 'suspended') then 'programme.unsatisfied' else 'programme.satisfied' end
            when d.state = 'updated' and d.valid_until > before.valid_until then 'credential.renewed'
            else 'credential.' || d.state
        end as type
    from (
        select * from decision d
        where d.tenant_id = :tenant and d.accepted and d.seq > :after and d.seq <= (select most from known)
        order by d.seq
        limit :scan
    ) d
    left join award a on a.tenant_id = d.tenant_id and a.ifi = d.ifi and a.kind = d.kind and a.matter = d.matter and a.n = d.n
    left join lateral (
        select b.state, b.valid_until from decision b
        where b.tenant_id = d.tenant_id and b.ifi = d.ifi and b.kind = d.kind and b.matter = d.matter and b.n = d.n and b.k < d.k and b.accepted
            and b.state <> 'expiring'
        order by b.k desc
        limit 1
    ) before on true
    left join lateral (
        select b.since, b.valid_until from decision b
        where b.tenant_id = d.tenant_id and b.ifi = d.ifi and b.kind = d.kind and b.matter = d.matter and b.n = d.n and b.k <= d.k and b.accepted
            and b.state in ('issued', 'updated', 'reinstated')
        order by b.k desc
        limit 1
    ) held on true
), published as (
    select p.seq, p.iri, p.version, p.effective, p.rule
    from programme p
    where p.tenant_id = :tenant and p.accepted and p.seq > :after and p.seq <= (select most from known)
    order by p.seq
    limit :scan
), scanned as (
    select seq, id, kind, matter, ifi, n, k, state, held_since as since, held_until as until, version, status, reason, body, credential, previous, type from entry
    union all
    select seq, null, 'rule', iri, null, null, null, 'published', coalesce(effective, seq >> 8), null, version, null, rule, null, null, null, 'rule.published'
    from published
    order by seq
    limit :scan
), head as (
    select greatest(
        (select max(d.seq) from decision d where d.tenant_id = :tenant and d.accepted and d.seq <= (select most from known)),
        (select max(p.seq) from programme p where p.tenant_id = :tenant and p.accepted and p.seq <= (select most from known))) as head
)
select known.through, known.clamp, head.head, (select max(seq) from scanned) as looked, found.*
from known cross join head
left join (select * from scanned {of_types} order by seq limit :limit) found on true
order by found.seq

-- name: of_types
-- Of these types alone.
where type = any(:types)
