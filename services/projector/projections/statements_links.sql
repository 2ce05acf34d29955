-- Index rows of copies that fell. No index leads from a statement to its rows: what it says tells their keys.

-- name: fallen
-- What the copies said that are about to be replaced.
select s.tenant_id, s.seq, s.raw, s.actor, s.activity, s.authority, a.agent
from unnest($1::int[], $2::uuid[]) as fallen (tenant_id, id)
join statement s on s.tenant_id = fallen.tenant_id and s.id = fallen.id
join authority a on a.tenant_id = s.tenant_id and a.key = s.authority;

-- name: forget_agents
delete from statement_agent a using unnest($1::bigint[], $2::bigint[], $3::int[], $4::boolean[]) as gone (agent, seq, tenant_id, related)
where a.tenant_id = gone.tenant_id and a.related = gone.related and a.agent = gone.agent and a.seq = gone.seq;

-- name: forget_activities
delete from related_activity a using unnest($1::bigint[], $2::bigint[], $3::int[]) as gone (activity, seq, tenant_id)
where a.tenant_id = gone.tenant_id and a.activity = gone.activity and a.seq = gone.seq;
