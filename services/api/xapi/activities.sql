-- Definitions of activities, for GET /xapi/activities and the canonical format.

-- name: definitions
-- Of each of these activities its latest definitions, the earliest of them first: at most 32, and of them as many as come to `:most_bytes`, or one.
-- What earlier ones say is lost on whoever has so many; reading stays cheap.
select wanted.activity, latest.definition
from unnest(:activities::uuid[]) as wanted (activity)
cross join lateral (
    select sized.day, sized.seq, sized.hash, sized.definition
    from (
        select d.day, d.seq, d.hash, d.definition,
            sum(octet_length(d.definition)) over later as size, row_number() over later as place
        from (
            select * from definition
            where tenant_id = :tenant and activity = wanted.activity
            order by day desc, seq desc, hash desc
            limit 32
        ) d
        window later as (order by d.day desc, d.seq desc, d.hash desc)
    ) sized
    where sized.size <= :most_bytes or sized.place = 1
) latest
order by wanted.activity, latest.day, latest.seq, latest.hash

-- name: activity
-- The same for one activity, with Consistent-Through; a row comes back even when nothing defines it.
select clock.now, found.definition
from consistent_through() as clock (now)
left join ({definitions}) found on true
