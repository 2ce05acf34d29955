-- Transcripts and evidence of one learner. `{through}`, `{set_aside}` are pieces of learners.sql.

-- name: transcript
-- A page of folded lines of the learner with the member `key`, each with the latest description of its course.
select {through} as through, who.learner, members.incomplete, page.activity, page.first_at, page.line, a.iri, a.name, a.type, c.body as course
from (select) once
left join lateral (select i.learner from ifi i where i.tenant_id = :tenant and i.key = :key) who on true
left join lateral (
    select coalesce(bool_or({set_aside}), false) as incomplete from ifi m where m.tenant_id = :tenant and m.learner = who.learner
) members on true
left join lateral (
    select e.activity, e.first_at, e.line
    from entry e
    where e.tenant_id = :tenant and e.learner = who.learner {after} {of_activity} {courses}
    order by e.first_at, e.activity
    limit :limit
) page on true
left join activity a on a.tenant_id = :tenant and a.key = page.activity
left join lateral (
    select c.body from course c where c.tenant_id = :tenant and c.activity = page.activity order by c.seq desc limit 1
) c on true

-- name: after
-- Lines after the last one of the page before.
and (e.first_at, e.activity) > (:first, :last)

-- name: of_activity
-- About one activity.
and e.activity = :activity

-- name: courses
-- About courses: by their type, or since they are described as such.
and (
    exists (select from activity t where t.tenant_id = e.tenant_id and t.key = e.activity and t.type = any(:types))
    or exists (select from course d where d.tenant_id = e.tenant_id and d.activity = e.activity)
)

-- name: rows_then
-- Evidence that stood by what was stored up to `known`, of what had happened up to `as_of`.
select e.activity, e.statement_id, e.seq, e.at, {assured} as assured, e.facts
from evidence e
where e.tenant_id = :tenant and e.ifi = any(:keys) and e.seq <= :known and e.at <= :as_of and (e.voided is null or e.voided > :known) {of_activity}

-- name: assured_now
-- The greatest level that trusted others give the statement.
e.assured

-- name: assured_then
-- The same by what was stored up to `known`.
(
    select max(s.level)
    from assurance s
    join evidence v on v.tenant_id = s.tenant_id and v.statement_id = s.assuring
    where s.tenant_id = e.tenant_id and s.target = e.statement_id and s.seq <= :known and (v.voided is null or v.voided > :known)
)

-- name: described_then
-- Activities, and what their courses were described as up to `known`.
select a.key, a.iri, a.name, a.type, c.body as course
from activity a
left join lateral (
    select c.body from course c where c.tenant_id = a.tenant_id and c.activity = a.key and c.seq <= :known order by c.seq desc limit 1
) c on true
where a.tenant_id = :tenant and a.key = any(:activities)

-- name: evidence
-- A page of evidence of these IFIs in the order of event time, voided statements included.
select page.*, a.iri
from (
    select e.activity, e.statement_id, e.seq, e.at, {assured} as assured, e.facts, e.voided is not null and e.voided <= :known as voided
    from evidence e
    where e.tenant_id = :tenant and e.ifi = any(:keys) and e.seq <= :known and e.at <= :as_of {of_activity} {after_row}
    order by e.at, e.seq
    limit :limit
) page
join activity a on a.tenant_id = :tenant and a.key = page.activity
order by page.at, page.seq

-- name: after_row
-- Rows after the last one of the page before.
and (e.at, e.seq) > (:at, :seq)
