//! [`deputy::host::GrantIndex`] on Workers: one Durable Object. `grant_index_object.js` has its class.

use deputy::host::{
    BoxFuture, Digest, GrantEntry, GrantFilter, GrantId, GrantIndex, Page, RecordKey, StoreError, Timestamp,
};
use wasm_bindgen::prelude::*;
use worker::{Env, ObjectNamespace, js_sys::Promise, send::SendFuture};

use crate::calls::{completed, number};

/// The index of grants in the namespace `GRANTS`.
#[derive(Debug)]
pub struct WorkersGrantIndex {
    objects: ObjectNamespace,
    /// The name of the object.
    owner: String,
}

impl WorkersGrantIndex {
    /// The index of a Deputy. Fails if the binding `GRANTS` is missing.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Self::of(env, "deputy")
    }

    /// The index with this name.
    pub fn of(env: &Env, owner: &str) -> worker::Result<Self> {
        Ok(Self { objects: env.durable_object("GRANTS")?, owner: owner.to_owned() })
    }
}

impl GrantIndex for WorkersGrantIndex {
    fn list(
        &self,
        GrantFilter { client, user }: GrantFilter,
        Page { after, limit }: Page,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<GrantId>, StoreError>> {
        Box::pin(SendFuture::new(async move {
            let (client, user) = (client.map(digest), user.map(digest));
            let after = after.map(id).unwrap_or_default();
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let objects = self.objects.as_ref();
            let listed = list(objects, &self.owner, client, user, &after, limit, number(now.0));
            completed(listed, INDEX)
                .await?
                .as_string()
                .and_then(|ids| parse(&ids))
                .ok_or_else(|| StoreError("the index of grants returned an unexpected value".to_owned()))
        }))
    }

    fn enter(
        &self,
        GrantEntry { id: grant, client, user }: GrantEntry,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SendFuture::new(async move {
            let (grant, client, user) = (id(grant), digest(client), digest(user));
            let objects = self.objects.as_ref();
            let entered = enter(objects, &self.owner, &grant, &client, &user, number(until.0), number(now.0));
            completed(entered, INDEX).await.map(|_| ())
        }))
    }

    fn remove(&self, grant: GrantId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SendFuture::new(async move {
            completed(remove(self.objects.as_ref(), &self.owner, &id(grant)), INDEX).await.map(|_| ())
        }))
    }
}

fn id(grant: GrantId) -> String {
    RecordKey::Grant(grant).name()
}

fn digest(digest: Digest) -> String {
    RecordKey::User(digest).name()
}

/// Ids of 32 hexadecimal digits each.
fn parse(ids: &str) -> Option<Vec<GrantId>> {
    let ids = ids.as_bytes().chunks(32);
    ids.map(|id| GrantId::from_hex(std::str::from_utf8(id).ok()?)).collect()
}

/// The storage, in the text of an error.
const INDEX: &str = "the index of grants";

#[wasm_bindgen(module = "/src/grant_index.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn list(
        objects: &JsValue,
        owner: &str,
        client: Option<String>,
        user: Option<String>,
        after: &str,
        limit: u32,
        now: f64,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn enter(
        objects: &JsValue,
        owner: &str,
        id: &str,
        client: &str,
        user: &str,
        until: f64,
        now: f64,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    fn remove(objects: &JsValue, owner: &str, id: &str) -> Result<Promise, JsValue>;
}
