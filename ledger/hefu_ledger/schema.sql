-- The ledger's tables, in a schema of their own. Run once per database by a superuser (hefu_ledger.store.install), inside
-- one transaction. Works on PostgreSQL 15 and later; the database must be UTF8.
--
-- ledger_owner may not log in and has no members. Everybody else reads by SELECT and writes only through functions. What a
-- database administrator could still do shows in verification: these protections stop applications, not the administrator.

create schema ledger authorization ledger_owner;
revoke all on schema ledger from public;
grant usage on schema ledger to ledger_submit, ledger_sequencer, ledger_read;

set local role ledger_owner;

-- Signed envelopes handed over inside the writers' own transactions, not yet in the log.
create table ledger.outbox (
    id          bigint generated always as identity primary key,
    envelope_id bytea not null unique check (envelope_id = sha256(envelope)),
    envelope    bytea not null check (octet_length(envelope) between 1 and 65435),
    staged_at   timestamptz not null default clock_timestamp()
);

-- What the sequencer would not log, and why.
create table ledger.rejected (
    id          bigint generated always as identity primary key,
    envelope_id bytea not null,
    envelope    bytea not null,
    reason      text not null,
    rejected_at timestamptz not null default clock_timestamp(),
    unique (envelope_id, reason)
);

-- The envelope's own bytes within an entry: between '{"envelope":' and ',"logged_at":"…","seq":…,"v":1}'.
create function ledger.envelope_of(body bytea, seq bigint) returns bytea
    language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
    return substring(body from 13 for octet_length(body) - 68 - length(seq::text));

create function ledger.tail_of(body bytea, seq bigint) returns text
    language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
    return convert_from(substring(body from octet_length(body) - 55 - length(seq::text)), 'UTF8');

-- The evidence, for browsing: {"envelope":{"payload":"…  is the sixth piece between quotation marks.
create function ledger.payload_of(body bytea) returns jsonb
    language sql immutable strict parallel safe set search_path = pg_catalog, pg_temp
    return convert_from(decode(split_part(convert_from(body, 'UTF8'), '"', 6), 'base64'), 'UTF8')::jsonb;

-- The log. `body` holds the exact bytes that were hashed; jsonb would not keep them.
create table ledger.entry (
    seq         bigint primary key check (seq >= 0),
    body        bytea not null check (octet_length(body) between 1 and 65535),
    leaf_hash   bytea not null check (leaf_hash = sha256('\x00'::bytea || body)),
    prev_hash   bytea not null check (octet_length(prev_hash) = 32),
    chain_hash  bytea not null check (chain_hash = sha256('\x02'::bytea || prev_hash || leaf_hash)),
    envelope_id bytea not null unique check (envelope_id = sha256(ledger.envelope_of(body, seq))),
    logged_at   text collate "C" not null check (
                    ledger.tail_of(body, seq) = ',"logged_at":"' || logged_at || '","seq":' || seq::text || ',"v":1}'),
    payload     jsonb not null check (payload = ledger.payload_of(body)),
    kind        text collate "C" not null generated always as (payload ->> 'kind') stored,
    actor       text collate "C" not null generated always as (payload ->> 'actor') stored,
    contract    text collate "C" generated always as (payload ->> 'contract') stored,
    job         text collate "C" generated always as (payload ->> 'job') stored,
    stage       text collate "C" generated always as (payload ->> 'stage') stored,
    at          text collate "C" not null generated always as (payload ->> 'at') stored
);
create index entry_by_contract on ledger.entry (contract, seq);  -- a contract's page
create index entry_by_job on ledger.entry (job, seq);            -- a job's page
create index entry_by_actor on ledger.entry (actor, seq);        -- a party's page
create index entry_by_kind on ledger.entry (kind, seq);          -- the filter by kind
create index entry_by_time on ledger.entry (at);                 -- the filter by time

-- One row: where the log ends.
create table ledger.head (
    only_row   boolean primary key default true check (only_row),
    size       bigint not null check (size >= 0),
    chain_hash bytea not null check (octet_length(chain_hash) = 32),
    root       bytea not null check (octet_length(root) = 32)
);
insert into ledger.head (size, chain_hash, root) values (0, decode(repeat('00', 32), 'hex'), sha256(''::bytea));

-- Every checkpoint that was signed. The newest also lies outside the database.
create table ledger.checkpoint (
    size      bigint primary key check (size >= 0),
    root      bytea not null check (octet_length(root) = 32),
    note      bytea not null,
    stored_at timestamptz not null default clock_timestamp()
);

create function ledger.refuse_change() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'ledger.% is append-only: % refused', tg_table_name, tg_op using errcode = 'insufficient_privilege';
end $$;

create function ledger.refuse_shrinking() returns trigger
    language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if new.size <= old.size then
        raise exception 'ledger.head only grows: % after % refused', new.size, old.size
            using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;

create trigger no_change before update or delete on ledger.entry for each row execute function ledger.refuse_change();
create trigger no_truncate before truncate on ledger.entry for each statement execute function ledger.refuse_change();
create trigger no_change before update or delete on ledger.checkpoint for each row execute function ledger.refuse_change();
create trigger no_truncate before truncate on ledger.checkpoint for each statement execute function ledger.refuse_change();
create trigger no_change before update or delete on ledger.rejected for each row execute function ledger.refuse_change();
create trigger no_truncate before truncate on ledger.rejected for each statement execute function ledger.refuse_change();
create trigger no_shrinking before update on ledger.head for each row execute function ledger.refuse_shrinking();
create trigger no_delete before delete on ledger.head for each row execute function ledger.refuse_change();
create trigger no_truncate before truncate on ledger.head for each statement execute function ledger.refuse_change();
alter table ledger.entry enable always trigger no_change;
alter table ledger.entry enable always trigger no_truncate;
alter table ledger.checkpoint enable always trigger no_change;
alter table ledger.checkpoint enable always trigger no_truncate;
alter table ledger.rejected enable always trigger no_change;
alter table ledger.rejected enable always trigger no_truncate;
alter table ledger.head enable always trigger no_shrinking;
alter table ledger.head enable always trigger no_delete;
alter table ledger.head enable always trigger no_truncate;

-- Hand over a signed envelope, in the caller's transaction. Twice the same envelope is once. Returns its id (hex).
create function ledger.stage(envelope bytea) returns text
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    id bytea := sha256(envelope);
begin
    if not exists (select from only ledger.entry e where e.envelope_id = id) then
        insert into ledger.outbox (envelope_id, envelope) values (id, stage.envelope)
            on conflict (envelope_id) do nothing;
    end if;
    return encode(id, 'hex');
end $$;

-- Append entries first_seq, first_seq + 1, … that came from the outbox rows `outbox_ids`; `root` is the new tree's.
-- Hashes are given by the caller and recomputed by the table's checks.
create function ledger.append_batch(
    first_seq bigint, bodies bytea[], leaf_hashes bytea[], chain_hashes bytea[], envelope_ids bytea[],
    logged_at text, outbox_ids bigint[], root bytea
) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set lock_timeout = '5s' as $$
declare
    head ledger.head;
    count bigint := cardinality(bodies);
    taken bigint;
begin
    select * into strict head from only ledger.head for update;
    if head.size <> first_seq then
        raise exception 'the log ends at %, a batch that starts at % is refused', head.size, first_seq
            using errcode = 'serialization_failure';
    end if;
    if count < 1 or cardinality(leaf_hashes) <> count or cardinality(chain_hashes) <> count
        or cardinality(envelope_ids) <> count or cardinality(outbox_ids) <> count then
        raise exception 'a batch of unequal or empty columns' using errcode = 'invalid_parameter_value';
    end if;
    delete from only ledger.outbox o
        using unnest(append_batch.outbox_ids, append_batch.envelope_ids) as b(id, envelope_id)
        where o.id = b.id and o.envelope_id = b.envelope_id;
    get diagnostics taken = row_count;
    if taken <> count then
        raise exception 'a batch of % entries names % outbox rows', count, taken
            using errcode = 'invalid_parameter_value';
    end if;
    insert into ledger.entry (seq, body, leaf_hash, prev_hash, chain_hash, envelope_id, logged_at, payload)
        select first_seq + b.place - 1, b.body, b.leaf_hash,
               case b.place when 1 then head.chain_hash else append_batch.chain_hashes[b.place - 1] end,
               b.chain_hash, b.envelope_id, append_batch.logged_at, ledger.payload_of(b.body)
        from unnest(bodies, leaf_hashes, chain_hashes, envelope_ids) with ordinality
            as b(body, leaf_hash, chain_hash, envelope_id, place);
    update only ledger.head h
        set size = first_seq + count, chain_hash = append_batch.chain_hashes[count], root = append_batch.root;
    return first_seq + count;
end $$;

-- Move envelopes that may not be logged out of the way, keeping them and the reason.
create function ledger.reject(outbox_ids bigint[], reasons text[]) returns void
    language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    with gone as (
        delete from only ledger.outbox o using unnest(outbox_ids, reasons) as r(id, reason)
        where o.id = r.id returning o.envelope_id, o.envelope, r.reason
    )
    insert into ledger.rejected (envelope_id, envelope, reason) select envelope_id, envelope, reason from gone
        on conflict (envelope_id, reason) do nothing;
end;

-- Forget outbox rows whose envelope is in the log already.
create function ledger.drop_logged(outbox_ids bigint[]) returns void
    language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    delete from only ledger.outbox o using ledger.entry e
        where o.id = any (outbox_ids) and e.envelope_id = o.envelope_id;
end;

-- Keep a signed checkpoint. The same one again is no harm; another root for its size is refused.
create function ledger.publish_checkpoint(size bigint, root bytea, note bytea) returns void
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set lock_timeout = '5s' as $$
begin
    if publish_checkpoint.size > (select h.size from only ledger.head h) then
        raise exception 'a checkpoint beyond the end of the log' using errcode = 'invalid_parameter_value';
    end if;
    insert into ledger.checkpoint (size, root, note)
        values (publish_checkpoint.size, publish_checkpoint.root, publish_checkpoint.note)
        on conflict do nothing;
    if not exists (select from only ledger.checkpoint c
                   where c.size = publish_checkpoint.size and c.root = publish_checkpoint.root) then
        raise exception 'another checkpoint of size % is stored already', publish_checkpoint.size
            using errcode = 'unique_violation';
    end if;
end $$;

revoke all on all tables in schema ledger from public;
revoke all on all functions in schema ledger from public;
grant select on ledger.entry, ledger.head, ledger.checkpoint to ledger_read, ledger_sequencer;
grant select on ledger.rejected to ledger_read, ledger_sequencer;
grant select on ledger.outbox to ledger_sequencer;
grant execute on function ledger.stage to ledger_submit;
grant execute on function ledger.append_batch, ledger.reject, ledger.drop_logged, ledger.publish_checkpoint
    to ledger_sequencer;

reset role;

-- Even the superuser has to take these away first, which is an act and not a slip. They live outside the schema, because
-- dropping that would take them along before they are asked.
create schema ledger_guard;
revoke all on schema ledger_guard from public;

create function ledger_guard.guard_definitions() returns event_trigger
    language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (
        select from pg_event_trigger_ddl_commands() c
        where c.schema_name in ('ledger', 'ledger_guard') or c.object_identity in ('ledger', 'ledger_guard')
            or c.object_identity ~ ' on ledger\.'
    ) or exists (
        select from pg_inherits i join pg_class c on c.oid = i.inhparent join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'ledger'
    ) or exists (
        -- renamed, or moved to another schema: the command then reports only the new name
        select from unnest(array['outbox', 'rejected', 'entry', 'head', 'checkpoint']) as t(name)
        where to_regclass('ledger.' || t.name) is null
    ) or to_regnamespace('ledger_guard') is null then
        raise exception 'the ledger''s definitions do not change: % refused', tg_tag
            using errcode = 'insufficient_privilege';
    end if;
end $$;

create function ledger_guard.guard_drops() returns event_trigger
    language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (
        select from pg_event_trigger_dropped_objects() d
        where d.schema_name in ('ledger', 'ledger_guard') or d.object_identity in ('ledger', 'ledger_guard')
            or d.object_identity ~ ' on ledger\.'
    ) then
        raise exception 'the ledger is not dropped: % refused', tg_tag using errcode = 'insufficient_privilege';
    end if;
end $$;

revoke all on function ledger_guard.guard_definitions, ledger_guard.guard_drops from public;
create event trigger ledger_guard_definitions on ddl_command_end execute function ledger_guard.guard_definitions();
create event trigger ledger_guard_drops on sql_drop execute function ledger_guard.guard_drops();
alter event trigger ledger_guard_definitions enable always;
alter event trigger ledger_guard_drops enable always;
