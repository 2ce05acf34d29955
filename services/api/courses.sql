-- Courses as described. `{through}` is a piece of learners.sql.

-- name: courses
-- A page of courses in the order of their activities' keys, each by its latest description.
select {through} as through, page.activity, page.body
from (select) once
left join lateral (
    select distinct on (c.activity) c.activity, c.body
    from course c
    where c.tenant_id = :tenant and c.activity > :after
    order by c.activity, c.seq desc
    limit :limit
) page on true
