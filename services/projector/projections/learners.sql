-- What belongs to a whole run of the learners projection.

-- name: by_keys
-- Every table here is reached by its keys, in runs of a few thousand: no plan may scan one, whatever its statistics say when it is new.
select set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false);

-- name: describe
-- Names and types of activities, each by the last statement that gave one.
insert into activity (tenant_id, key, iri, name, name_seq, type, type_seq)
select n.tenant_id, n.key, n.iri, n.name, n.name_seq, n.type, n.type_seq
from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[]) as n (tenant_id, key, iri, name, name_seq, type, type_seq)
order by n.tenant_id, n.key
on conflict (tenant_id, key) do update set
    name = case when excluded.name_seq > activity.name_seq then excluded.name else activity.name end,
    name_seq = greatest(excluded.name_seq, activity.name_seq),
    type = case when excluded.type_seq > activity.type_seq then excluded.type else activity.type end,
    type_seq = greatest(excluded.type_seq, activity.type_seq)
where excluded.name_seq > activity.name_seq or excluded.type_seq > activity.type_seq;

-- name: add_courses
-- Every description is kept.
insert into course (tenant_id, activity, seq, iri, body)
select * from unnest($1::int[], $2::uuid[], $3::bigint[], $4::text[], $5::bytea[])
on conflict do nothing;
