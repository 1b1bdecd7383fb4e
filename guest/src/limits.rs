//! Every number that a client could otherwise drive up, in one place.

/// Most bytes of a `filter` parameter, a PATCH path or a `sortBy`.
pub const FILTER_BYTES: usize = 16 * 1024;
/// Deepest nesting of parentheses, `not` and value filters.
pub const FILTER_DEPTH: usize = 32;
/// Most comparisons in one filter.
pub const FILTER_TERMS: usize = 256;
/// Deepest nesting of a JSON body. SCIM itself needs five levels (RFC 7643 §2.3.8 forbids complex in complex).
pub const JSON_DEPTH: usize = 32;
/// Most values of one multi-valued attribute that is part of the document; members of a group are not.
pub const ATTRIBUTE_VALUES: usize = 5_000;
/// Most operations in one PATCH request.
pub const PATCH_OPERATIONS: usize = 10_000;
/// Most bytes of one stored document: a store takes values of 1 MiB.
pub const DOCUMENT_BYTES: usize = 384 * 1024;
/// Most bytes of a value of an attribute with `uniqueness`, so that it fits a key.
pub const UNIQUE_VALUE_BYTES: usize = 512;
/// Bytes of a value kept in a secondary index key; the document decides beyond them.
pub const INDEX_VALUE_BYTES: usize = 256;
/// Keys of an index that are read ahead of a search for one value: few values that are asked for so have more resources.
pub const HOLDERS_AHEAD: u32 = 20;
/// Resources in a page where the client names no `count`.
pub const DEFAULT_PAGE: usize = 100;
/// Most resources in a page (`filter.maxResults` of ServiceProviderConfig).
pub const MAX_PAGE: usize = 1_000;
/// Entries read from the store in one call while walking a range.
pub const SCAN_BATCH: u32 = 1_000;
/// Documents read in one call where each is found by its own key.
pub const FETCH_BATCH: usize = 200;
/// Entries that are passed over one by one rather than by looking for a way round them.
pub const SKIP_SCAN: u32 = 200;
/// Resources tested against a filter, or sorted, for one page. Beyond it an index page is 400 tooMany and a cursor page
/// ends early.
pub const SEARCH_EXAMINED: u64 = 250_000;
/// Resources tested after which the first page of a traversal by cursor, once it is full, goes without the total.
pub const COUNTED: u64 = 10_000;
/// Keys of indexes and edges read to find the candidates of one page. Beyond it the same happens.
pub const SEARCH_KEYS: u64 = 500_000;
/// Sort keys held for one page: `startIndex` reaches this far into a sorted list.
pub const SORT_KEYS: usize = 250_000;
/// Bytes of a value that decide its place in a sorted list; beyond them the id does. As many as an index has, so that a list
/// is in the same order whether an index or the documents give it. Bounds cursors and memory alike.
pub const SORT_KEY_BYTES: usize = INDEX_VALUE_BYTES;
/// How often a transaction that lost a race runs again before 503.
pub const COMMIT_ATTEMPTS: usize = 64;
/// A PATCH answers 204 instead of the whole resource where more edges than this would have to be read for it
/// (RFC 7644 §3.5.2 allows either), so that the cost follows the change.
pub const PATCH_REPLY_EDGES: u64 = 100;
/// Days for which a deleted resource can be restored, unless the tenant says otherwise (`reprovisioning` is `restore`).
pub const RESTORE_DAYS: u32 = 90;
/// What a tenant may set that to.
pub const RESTORE_DAYS_RANGE: std::ops::RangeInclusive<u32> = 1..=366;
/// Resources with one `externalId` that a POST is compared with, where it may bring one of them back.
pub const FORMER_HOLDERS: u32 = 20;
/// Tombstones of deleted resources removed in one maintenance step.
pub const SWEEP_TOMBSTONES: u32 = 100;
/// Edges of deleted resources swept in one maintenance step.
pub const SWEEP_EDGES: u32 = 500;
/// Steps that one call of `/admin/maintenance` takes, so that it ends within a request's time.
pub const MAINTENANCE_STEPS: u32 = 20;
/// Member ids in one log record; longer lists continue in the next.
pub const LOG_MEMBERS: usize = 10_000;
/// Members of one resource in an answer. With more it is refused, rather than cut short or out of memory.
pub const SHOWN_MEMBERS: u64 = 250_000;
/// Bytes of the resources of a page, for the same reason.
pub const PAGE_BYTES: usize = 48 * 1024 * 1024;
/// Members that a replacement may take out in one commit.
pub const REPLACED_MEMBERS: usize = 100_000;
/// Deepest nesting of groups followed for `User.groups`.
pub const GROUP_DEPTH: usize = 16;
/// Seconds for which a cursor (RFC 9865) stays valid.
pub const CURSOR_SECONDS: u32 = 3_600;
/// What a tenant may set that to.
pub const CURSOR_SECONDS_RANGE: std::ops::RangeInclusive<u32> = 60..=7 * 24 * 3_600;
/// Seconds that a client is asked to wait after 503.
pub const RETRY_AFTER_SECONDS: u32 = 1;
/// Most operations in one bulk request (`bulk.maxOperations` of ServiceProviderConfig).
pub const BULK_OPERATIONS: usize = 1_000;
/// Most bytes of a bulk request's body (`bulk.maxPayloadSize` of ServiceProviderConfig).
pub const BULK_BYTES: usize = 1024 * 1024;
/// Most bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// For how long an `Idempotency-Key` gets the first answer again, in milliseconds: a day.
pub const IDEMPOTENCY_MILLISECONDS: u64 = 24 * 60 * 60 * 1_000;
/// Bytes of a kept answer's body in one value; longer bodies are kept in several.
pub const ANSWER_PART_BYTES: usize = 256 * 1024;
/// Kept answers removed in one maintenance step.
pub const SWEEP_ANSWERS: u32 = 100;
/// Most attributes of a tenant-defined schema, sub-attributes included.
pub const DEFINED_ATTRIBUTES: usize = 500;
/// Most bytes of the name of a tenant-defined attribute or resource type, so that keys hold them.
pub const DEFINED_NAME_BYTES: usize = 64;
/// Most bytes of the URN of a tenant-defined schema, so that keys hold it.
pub const DEFINED_URN_BYTES: usize = 200;
/// Most bytes of a description or canonical value of a tenant-defined schema.
pub const DEFINED_TEXT_BYTES: usize = 2_048;
/// Most bytes of all that a tenant has configured: every request reads it.
pub const CONFIGURATION_BYTES: usize = 256 * 1024;
/// Resources that one step of building or removing keys goes through, in one commit.
pub const BUILD_BATCH: u32 = 200;
/// Resources named in the refusal of a configuration that stored data would violate.
pub const VIOLATIONS_SHOWN: usize = 20;
/// For how long a client's tolerance needs no new note, in milliseconds: an hour.
pub const SIGHTING_MILLISECONDS: u64 = 60 * 60 * 1_000;
/// Examples kept of a client's tolerance.
pub const SIGHTING_EXAMPLES: usize = 4;
/// Bytes of an example's place.
pub const SIGHTING_PLACE_BYTES: usize = 200;
/// The latest log records that the report of tolerances counts.
pub const REPORT_RECORDS: usize = 10_000;
/// Most records in a page of the log.
pub const LOG_PAGE: usize = 1_000;
/// Most bytes of a password, so that hashing it costs the same for all.
pub const PASSWORD_BYTES: usize = 1_024;
