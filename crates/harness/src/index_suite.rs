//! The test suite for implementations of [`GrantIndex`], as [`store_suite`](crate::store_suite) is for those of [`Store`].
//!
//! Each grant is a record and an entry: a store that can list its records ignores the entries, and the filter too.

use deputy::host::{
    Digest, GrantEntry, GrantFilter, GrantId, GrantIndex, Page, RecordKey, Store, StoreError, Timestamp,
};

/// Runs the whole suite and returns every failure. `now` should be near the real time. `salt` keeps the grants of several
/// runs apart.
pub async fn run(store: &dyn Store, index: &dyn GrantIndex, now: Timestamp, salt: u64) -> Vec<String> {
    let trial = Trial { store, index, now, salt };
    let outcomes = [
        ("grants are listed once, in the order of their ids", trial.pages().await),
        ("every grant of a client and of a user is listed", trial.filters().await),
        ("expired and removed grants are not listed", trial.ends().await),
        ("grant that is entered again is listed once, and for longer", trial.prolonged().await),
    ];
    let failures = outcomes.into_iter().filter_map(|(name, outcome)| Some((name, outcome.err()?)));
    failures.map(|(name, seen)| format!("{name}: {seen}")).collect()
}

struct Trial<'a> {
    store: &'a dyn Store,
    index: &'a dyn GrantIndex,
    now: Timestamp,
    salt: u64,
}

impl Trial<'_> {
    /// A grant of this suite. The numbers decide the order of the ids.
    fn grant(&self, number: u8) -> GrantId {
        let mut id = [number; 16];
        id[8..].copy_from_slice(&self.salt.to_be_bytes());
        GrantId(id)
    }

    fn digest(&self, number: u8) -> Digest {
        let mut digest = [number; 32];
        digest[24..].copy_from_slice(&self.salt.to_be_bytes());
        Digest(digest)
    }

    async fn enter(&self, number: u8, (client, user): (u8, u8), until: Timestamp) -> Result<(), String> {
        let id = self.grant(number);
        let entry = GrantEntry { id, client: self.digest(client), user: self.digest(user) };
        self.store.put(&RecordKey::Grant(id), vec![number], until).await.map_err(failed)?;
        self.index.enter(entry, until, self.now).await.map_err(failed)
    }

    async fn end(&self, number: u8) -> Result<(), String> {
        let id = self.grant(number);
        self.store.take(&RecordKey::Grant(id), self.now).await.map_err(failed)?;
        self.index.remove(id).await.map_err(failed)
    }

    /// The numbers of the grants of this suite, from pages of `limit`.
    async fn listed(&self, filter: GrantFilter, limit: usize, now: Timestamp) -> Result<Vec<u8>, String> {
        let (mut all, mut after) = (Vec::<GrantId>::new(), None);
        loop {
            let page = self.index.list(filter, Page { after, limit }, now).await.map_err(failed)?;
            if page.len() > limit {
                return Err(format!("{} grants in a page of {limit}", page.len()));
            }
            all.extend(&page);
            if page.len() < limit {
                break;
            }
            after = page.last().copied();
        }
        if !all.is_sorted_by(|one, next| one < next) {
            return Err(format!("not in order: {all:?}"));
        }
        // A store may have grants of other runs.
        Ok(all.iter().filter(|id| self.grant(id.0[0]) == **id).map(|id| id.0[0]).collect())
    }

    async fn expect(&self, filter: GrantFilter, expected: &[u8]) -> Result<(), String> {
        let listed = self.listed(filter, 100, self.now).await?;
        let missing: Vec<_> = expected.iter().filter(|number| !listed.contains(number)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} are not in {listed:?}")) }
    }

    async fn pages(&self) -> Result<(), String> {
        for number in [30, 10, 50, 20, 40] {
            self.enter(number, (1, 1), self.now.plus(LIFE)).await?;
        }
        for limit in [1, 2, 5, 100] {
            let listed = self.listed(GrantFilter::default(), limit, self.now).await?;
            if listed != [10, 20, 30, 40, 50] {
                return Err(format!("pages of {limit}: {listed:?}"));
            }
        }
        for number in [10, 20, 30, 40, 50] {
            self.end(number).await?;
        }
        Ok(())
    }

    async fn filters(&self) -> Result<(), String> {
        for (number, of) in [(60, (1, 1)), (70, (1, 2)), (80, (2, 1))] {
            self.enter(number, of, self.now.plus(LIFE)).await?;
        }
        let (client, user) = (Some(self.digest(1)), Some(self.digest(1)));
        self.expect(GrantFilter { client, user: None }, &[60, 70]).await?;
        self.expect(GrantFilter { client: None, user }, &[60, 80]).await?;
        self.expect(GrantFilter { client, user }, &[60]).await
    }

    async fn ends(&self) -> Result<(), String> {
        self.enter(90, (3, 3), self.now.plus(LIFE)).await?;
        self.enter(91, (3, 3), self.now.plus(LIFE)).await?;
        self.end(90).await?;
        self.end(90).await?;
        let listed = self.listed(GrantFilter::default(), 100, self.now).await?;
        if listed.contains(&90) || !listed.contains(&91) {
            return Err(format!("after 90 ended: {listed:?}"));
        }
        let later = self.listed(GrantFilter::default(), 100, self.now.plus(LIFE)).await?;
        if later.contains(&91) { Err(format!("after 91 expired: {later:?}")) } else { Ok(()) }
    }

    async fn prolonged(&self) -> Result<(), String> {
        self.enter(100, (4, 4), self.now.plus(LIFE)).await?;
        self.enter(100, (4, 4), self.now.plus(2 * LIFE)).await?;
        let listed = self.listed(GrantFilter::default(), 100, self.now.plus(LIFE)).await?;
        // The list is in strict order, so it has no grant twice.
        if listed.contains(&100) { Ok(()) } else { Err(format!("not in {listed:?}")) }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the argument of `map_err`")]
fn failed(error: StoreError) -> String {
    error.to_string()
}

/// The lifetime of grants in the suite, in seconds.
const LIFE: u64 = 600;
