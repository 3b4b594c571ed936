//! Moving records between SQLite and PostgreSQL. `./dev test` runs this, since it needs PostgreSQL.

use deputy::host::{GrantId, RecordKey, Store as _};
use http::StatusCode;
use serde_json::json;

use crate::world::{Tokens, World};

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn copied_grants_keep_their_tokens_there_and_back() {
    let mut world = World::in_a_folder();
    let mut logins = Vec::new();
    for _ in 0..LOGINS {
        logins.push(world.connected().await);
    }
    // More records of the same size. Tokens exist only for the logins.
    let file = world.native().file();
    let until = world.host.now().plus(3600);
    for number in 0..(GRANTS - LOGINS) as u64 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        file.put(&RecordKey::Grant(GrantId(id)), vec![b'x'; 3000], until).await.unwrap();
    }
    file.put(&RecordKey::Client("expired".to_owned()), Vec::new(), world.host.now()).await.unwrap();
    drop(file);
    for _ in 0..2 {
        let copied = world.native().move_records().await;
        assert_eq!(copied.grants, GRANTS, "{copied:?}");
        world.start(&[]);
        for tokens in &mut logins {
            let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
            assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
            *tokens = Tokens::of(&tokens.client, &refreshed);
            let call = world.call(&tokens.access, "get_my_todo_list", json!({})).await;
            assert_eq!(call.status, StatusCode::OK, "{}", call.text);
        }
    }
}

const LOGINS: usize = 40;

const GRANTS: usize = 10_000;
