//! The operator ends grants and blocks clients, while their requests are under way.

use axum::body::Body;
use http::{Request, StatusCode};
use tower_service::Service as _;

use super::{Run, assert_end_holds, faults_for, for_each_seed};
use crate::world::{ADMIN_TOKEN, DEPUTY};

impl Run<'_> {
    /// The operator sends requests, one after the other, until one fails.
    fn operate(&self, kind: &'static str, requests: &[(&str, &str)]) {
        let requests: Vec<_> = requests.iter().map(|(path, form)| operator_request(path, form)).collect();
        let (mut router, outcomes) = (self.router.clone(), self.outcomes.clone());
        self.tasks.client(async move {
            let mut status = StatusCode::OK;
            for request in requests {
                let Ok(response) = router.call(request).await;
                status = response.status();
                if status != StatusCode::OK {
                    break;
                }
            }
            let (location, json) = Default::default();
            outcomes.lock().unwrap().push(super::Outcome { kind, status, location, json });
        });
    }
}

fn operator_request(path: &str, form: &str) -> Request<Body> {
    Request::post(format!("{DEPUTY}/admin/v1/{path}"))
        .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .expect("a request")
}

#[tokio::test]
async fn grant_that_the_operator_ends_stays_ended_under_requests() {
    assert_end_holds("end", |run, tokens| {
        run.operate("end", &[("grants/end", &format!("client={}", tokens.client))]);
    })
    .await;
}

#[tokio::test]
async fn blocked_and_ended_client_keeps_no_code_that_is_under_way() {
    let mut raced = 0;
    for_each_seed(async |world, seed| {
        let client = world.client().await;
        let code = world.code(&client).await;
        let mut run = Run::new(world, seed, faults_for(seed));
        run.redeem(&client, &code);
        let subject = format!("client={client}");
        run.operate("stop", &[("block", &subject), ("grants/end", &subject)]);
        run.run_to_end();
        if !run.succeeded("stop") {
            return;
        }
        let issued = run.issued("redeem", &client);
        raced += issued.len();
        for tokens in &issued {
            assert!(run.is_revoked(tokens).await, "the code of a blocked client gave access");
        }
        assert_ne!(world.redeem(&client, &code).await.status, StatusCode::OK);
    })
    .await;
    assert!(raced > 0, "no redemption came before the end");
}
