-- Tenants are kept apart by Postgres too: docs/adr/0013. What a request asks for is asked as `testamur_web`, a role that owns nothing and sees, of every
-- table with tenants, the rows of the one that the setting `testamur.tenant` names. What else it may do is in access.sql.

-- Make the role, where it lacks, and see that this user may act as it; give what stands in the way, null if nothing does.
create function make_web_role() returns text language plpgsql as $$
begin
    if not exists (select from pg_roles where rolname = 'testamur_web') then
        begin
            create role testamur_web nologin;
        exception
            when insufficient_privilege then return 'may not create the role testamur_web';
            when duplicate_object or unique_violation then null;  -- made by who migrates another database of this server
        end;
    end if;
    if exists (select from pg_roles where rolname = 'testamur_web' and (rolsuper or rolbypassrls)) then
        return 'finds a role testamur_web that row-level security does not bind';
    end if;
    begin
        set local role testamur_web;
    exception when insufficient_privilege then
        begin
            execute format('grant testamur_web to %I', current_user);
        exception when insufficient_privilege then
            return 'may not act as the role testamur_web';
        end;
    end;
    set local role none;
    return null;
end $$;

-- Whether the policies are in force: they are made all at once.
create function separated() returns boolean language sql stable as $$
    select exists (select from pg_policy where polrelid = 'testamur.document'::regclass)
$$;

-- Let the rows of a table be seen by tenant. After a transaction that set it the setting is empty, not null.
create function guard(target regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    if not exists (select from pg_policy where polrelid = target) then
        execute format(
            $policy$create policy one_tenant on %s to testamur_web using (tenant_id = nullif(current_setting('testamur.tenant', true), '')::int)$policy$, target);
    end if;
end $$;

-- The same for the tables of a version of a projection, which web processes read and only projectors write.
create function guard_version(target name) returns void language plpgsql as $$
declare
    this record;
begin
    if not testamur.separated() then
        return;
    end if;
    execute format('grant usage on schema %I to testamur_web', target);
    execute format('grant select on all tables in schema %I to testamur_web', target);
    for this in select oid::regclass as rel from pg_class where relnamespace = quote_ident(target)::regnamespace and relkind in ('r', 'p') loop
        perform testamur.guard(this.rel);
    end loop;
end $$;

-- Let web processes read through the views of the versions in use.
create function guard_views() returns void language plpgsql as $$
declare
    this record;
begin
    if testamur.separated() then
        for this in select oid::regclass as rel from pg_class where relnamespace = 'testamur'::regnamespace and relkind = 'v' loop
            execute format('grant select on %s to testamur_web', this.rel);
        end loop;
    end if;
end $$;
