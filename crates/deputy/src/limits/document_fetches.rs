//! The limit of concurrent fetches of metadata documents.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::sync::lock;

/// The concurrent fetches of this process, per remote address that caused them. A server may respond slowly on purpose,
/// so one address gets a share only.
#[derive(Clone, Debug, Default)]
pub(crate) struct DocumentFetches {
    sources: Arc<Mutex<Vec<Option<IpAddr>>>>,
    has_response: Arc<AtomicBool>,
}

impl DocumentFetches {
    /// Notes that a publisher's site responded.
    pub(crate) fn note_response(&self) {
        self.has_response.store(true, Ordering::Relaxed);
    }

    /// Whether any publisher's site has responded to this process.
    pub(crate) fn has_response(&self) -> bool {
        self.has_response.load(Ordering::Relaxed)
    }

    /// A permit for a fetch that `source` caused. `None`: there are too many. Dropping the permit ends it.
    pub(crate) fn begin(&self, source: Option<IpAddr>) -> Option<FetchPermit> {
        let mut sources = lock(&self.sources);
        let same = source.map_or(0, |_| sources.iter().filter(|other| **other == source).count());
        (sources.len() < AT_A_TIME && same < OF_ONE_SOURCE).then(|| {
            sources.push(source);
            FetchPermit { all: self.clone(), source }
        })
    }
}

pub(crate) struct FetchPermit {
    all: DocumentFetches,
    source: Option<IpAddr>,
}

impl Drop for FetchPermit {
    fn drop(&mut self) {
        let mut sources = lock(&self.all.sources);
        if let Some(place) = sources.iter().position(|source| *source == self.source) {
            sources.swap_remove(place);
        }
    }
}

/// Fetches at a time.
const AT_A_TIME: usize = 64;
/// Fetches at a time for one remote address.
const OF_ONE_SOURCE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_at_a_time_are_bounded_in_all_and_per_address() {
        let documents = DocumentFetches::default();
        let one = Some([192, 0, 2, 1].into());
        let of_one: Vec<_> = (0..5).filter_map(|_| documents.begin(one)).collect();
        assert_eq!(of_one.len(), 4);
        let of_others: Vec<_> =
            (0..=255).filter_map(|n| documents.begin(Some([198, 51, 100, n].into()))).collect();
        assert_eq!((of_others.len(), documents.begin(None).is_none()), (60, true));
        drop(of_one);
        assert!(documents.begin(one).is_some() && documents.begin(None).is_some());
    }
}
