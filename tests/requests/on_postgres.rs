//! Moving records between SQLite and PostgreSQL. `./dev test` runs this, since it needs PostgreSQL. `DEPUTY_LOGINS` of the grants
//! have tokens, 40 by default.

use std::env;

use deputy::host::{GrantId, RecordKey, Store as _};
use http::StatusCode;
use serde_json::json;

use crate::world::{Tokens, World};

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn copied_grants_keep_their_tokens_there_and_back() {
    let mut world = World::in_a_folder();
    // The logins come from one address within a second of the world's clock.
    let unlimited = [("RATE_LIMITS", "off")];
    world.start(&unlimited);
    let count = env::var("DEPUTY_LOGINS").map_or(40, |count| count.parse().unwrap());
    let mut logins = Vec::new();
    for number in 0..count {
        // A user has up to 100 grants.
        let user = format!("user-{}", number / 50);
        if number % 50 == 0 {
            world.pingone.add_user(&user, &format!("User-{}-demo-1", number / 50));
        }
        logins.push(world.connected_as(&user, &[]).await);
    }
    // More records of the same size. Tokens exist only for the logins.
    let file = world.native().file();
    let until = world.host.now().plus(3600);
    for number in 0..(GRANTS - count) as u64 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        file.put(&RecordKey::Grant(GrantId(id)), vec![b'x'; 3000], until).await.unwrap();
    }
    file.put(&RecordKey::Client("expired".to_owned()), Vec::new(), world.host.now()).await.unwrap();
    drop(file);
    for _ in 0..2 {
        let copied = world.native().move_records().await;
        assert_eq!(copied.grants, GRANTS, "{copied:?}");
        world.start(&unlimited);
        for tokens in &mut logins {
            let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
            assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.text);
            *tokens = Tokens::of(&tokens.client, &refreshed);
            let call = world.call(&tokens.access, "get_my_todo_list", json!({})).await;
            assert_eq!(call.status, StatusCode::OK, "{}", call.text);
        }
    }
}

const GRANTS: usize = 10_000;
