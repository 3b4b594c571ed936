//! The stored records, typed, over the verbs of the store. One file for each kind.

mod activity;
mod assertions;
mod blocklist;
mod clients;
mod deliveries;
mod documents;
mod grants;
mod replies;
mod tickets;
mod users;

pub(crate) use activity::{Activity, UnwrittenActivity};
pub(crate) use assertions::use_assertion;
pub(crate) use blocklist::{
    Blocked, Blocklist, Subject, blocklist, blocklist_copy, blocklist_records, change_blocklist,
};
pub(crate) use clients::{MetadataSource, find_and_prolong_client, keep_client, registered_client};
pub(crate) use deliveries::{Progress, progress, put_progress};
pub(crate) use documents::{Document, StoredKeys, fetched, forget_fetched, put_fetched};
pub(crate) use grants::{
    enter_in_grant_index, grant, grant_filter, grant_record, remove_grant, replace_grant, stored_grant,
};
pub(crate) use replies::{REPLY_LIFETIME, put_reply, take_reply};
pub(crate) use tickets::{Approval, Login, LoginPurpose, TicketError, new_handle, put_ticket, take_ticket};
pub(crate) use users::{
    EndedLogins, EndsLogins, UserGrant, UserGrants, add_activity, end_logins, index_grant, settle_grants,
    sign_out, unindex_grants, user_grants,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::host::{Host, RecordKey, StoreError, Timestamp};

/// Why a record is not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Others wrote the record each time. Nothing was written.
    #[error("a {0} was changed by others too often to be written")]
    Contended(&'static str),
    /// The stored bytes are not a record of their kind. They are not quoted.
    #[error("a stored record cannot be read")]
    Malformed,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecordError {
    /// Adds an error to those of several records, of which one is kept: rather one that a repetition may overcome than a record
    /// that cannot be read.
    pub(crate) fn add_to(self, failure: &mut Option<Self>) {
        if matches!(failure, None | Some(Self::Malformed)) {
            *failure = Some(self);
        }
    }
}

/// How often a compare-and-swap is tried.
pub(crate) const MOST_RACES: usize = 64;

/// Reads a record.
async fn read<T: DeserializeOwned>(
    host: &Host,
    key: &RecordKey,
    now: Timestamp,
) -> Result<Option<T>, RecordError> {
    host.store.get(key, now).await?.map(|record| decode(&record.value)).transpose()
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(value).map_err(|_| RecordError::Malformed)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    // The error's text may quote the record.
    serde_json::from_slice(bytes).map_err(|_| RecordError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_that_may_pass_outweighs_an_unreadable_record() {
        let failed = || RecordError::Store(StoreError("x".to_owned()));
        for errors in [[failed(), RecordError::Malformed], [RecordError::Malformed, failed()]] {
            let mut failure = None;
            for error in errors {
                error.add_to(&mut failure);
            }
            assert_eq!(failure, Some(failed()));
        }
    }
}
