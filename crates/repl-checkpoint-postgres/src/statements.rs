//! The statements of a store.

/// The columns of a record.
macro_rules! record {
    () => {
        "replace(holder::text, '-', ''), token, generation, held_by, since"
    };
}

/// Whether no bytes of the store are newer than its record. After a takeover, a later save would have
/// the same generation as they have.
macro_rules! none_newer {
    () => {
        "not exists (select from repl_generation
             where store = $1::text::uuid and generation > coalesce(
                 (select generation from repl_lease where store = $1::text::uuid), 0))"
    };
}

pub(crate) const TAKE_OVER: &str = concat!(
    "insert into repl_lease (store, holder, token, generation, held_by, since)
     select $1::text::uuid, gen_random_uuid(), 1, 0, $2::text, now() where ",
    none_newer!(),
    " on conflict (store) do update set holder = excluded.holder, token = repl_lease.token + 1,
         held_by = excluded.held_by, since = excluded.since
     returning ",
    record!()
);

pub(crate) const TAKE_OVER_AT_LEAST: &str = concat!(
    "update repl_lease set holder = gen_random_uuid(), token = token + 1, held_by = $2, since = now()
     where store = $1::text::uuid and token >= $3 and generation >= $4 and ",
    none_newer!(),
    " returning ",
    record!()
);

/// The newest generation of which there are bytes.
pub(crate) const NEWEST: &str =
    "select max(generation) from repl_generation where store = $1::text::uuid";

pub(crate) const RENEW: &str = concat!(
    "update repl_lease set token = $3
     where store = $1::text::uuid and holder = $2::text::uuid and token < $3
     returning ",
    record!()
);

/// One statement, so one transaction and one round trip. No part does anything unless the lease is
/// held. The new bytes take the place of the oldest: a row that is updated leaves nothing that the
/// next save has to read past, as one that is deleted would until it is vacuumed.
pub(crate) const SAVE: &str = "
    with held as (
        update repl_lease set generation = $5
        where store = $1::text::uuid and holder = $2::text::uuid and token = $3 and generation = $4
        returning store
    ), place as (
        select case when count(*) < $7 then count(*)
            else (array_agg(slot order by generation))[1] end as slot
        from repl_generation where store = $1::text::uuid
    )
    insert into repl_generation (store, slot, generation, bytes)
        select held.store, place.slot, $5, $6 from held, place
        on conflict (store, slot) do update
            set generation = excluded.generation, bytes = excluded.bytes
        returning 1";

pub(crate) const LOAD: &str = "
    select generation, bytes from repl_generation
    where store = $1::text::uuid and generation <= $2 order by generation desc limit 1";

pub(crate) const RECORD: &str =
    concat!("select ", record!(), " from repl_lease where store = $1::text::uuid");

/// For a transaction of the caller: no takeover comes before its end.
pub(crate) const LOCK_RECORD: &str = concat!(
    "select ",
    record!(),
    ", set_config('synchronous_commit', 'on', true)
     from repl_lease where store = $1::text::uuid for share"
);
