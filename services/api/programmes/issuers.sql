-- Who gives credentials, other than the tenant itself.

-- name: put
insert into issuer (tenant_id, slug, name, url, email, image) values (:tenant, :slug, :name, :url, :email, :image)
on conflict (tenant_id, slug) do update set name = excluded.name, url = excluded.url, email = excluded.email, image = excluded.image

-- name: one
select slug, name, url, email, image from issuer where tenant_id = :tenant and slug = :slug

-- name: page
select slug, name, url, email, image from issuer where tenant_id = :tenant and slug collate "C" > :after order by slug collate "C" limit :limit
