//! The page *Your agents* in a browser.

use harness::browser::{Browser, Page};

use super::{DEPUTY, World};

impl World {
    /// Opens *Your agents* and signs in there. Ends on the list.
    pub(crate) async fn sign_in_to_agents(&self, browser: &mut Browser, user: &str) -> Page {
        let page = browser.open(&agents_url()).await;
        let page = browser.submit(&page, &[], "sign-in").await;
        self.finish_at_pingone(browser, user, page).await
    }

    /// Logs in and consents where the pages of PingOne ask for it.
    pub(crate) async fn finish_at_pingone(&self, browser: &mut Browser, user: &str, mut page: Page) -> Page {
        if page.text.contains("value=\"SIGNON\"") {
            let password = format!("{}{}-demo-1", user[..1].to_uppercase(), &user[1..]);
            page = browser.submit(&page, &[("username", user), ("password", &password)], "SIGNON").await;
        }
        if page.text.contains("value=\"APPROVE\"") {
            page = browser.submit(&page, &[], "APPROVE").await;
        }
        page
    }
}

pub(crate) fn agents_url() -> String {
    format!("{DEPUTY}/agents")
}

/// The ids of the grants on the page, in order.
pub(crate) fn agent_ids(page: &Page) -> Vec<String> {
    values_of(page, "agent")
}

/// The hidden value that forms of the page send back.
pub(crate) fn form_token(page: &Page) -> String {
    values_of(page, "token").pop().expect("a form")
}

fn values_of(page: &Page, name: &str) -> Vec<String> {
    let before = format!("name=\"{name}\" value=\"");
    let inputs = page.text.split(&before).skip(1);
    inputs.map(|rest| rest.split('"').next().expect("a value").to_owned()).collect()
}
