//! The cost of a million stored grants: a native Deputy with them beside one without, and how long each takes to start.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::{
    Failure,
    servers::{Server, Site},
};

/// Two servers, and the seconds that each start took.
pub(crate) struct Stored {
    pub(crate) servers: Vec<Server>,
    pub(crate) starts: Vec<(String, Vec<f64>)>,
}

/// Starts both several times in turn, and logs in.
pub(crate) async fn start(site: &mut Site, clients: usize) -> Result<Stored, Failure> {
    let (full, empty) = (site.ports().native, site.ports().native_before);
    let names = [(full, "Deputy, 1,000,000 grants"), (empty, "Deputy, no grants")];
    // One login leaves the grant that is copied.
    let (pid, _) = site.start_native(None, full).await?;
    site.log_in("Deputy", full, pid, 1).await?;
    site.stop_servers();
    eprintln!("storing {GRANTS} grants");
    copy_grant(&site.folder(full).join("deputy.sqlite3"))?;

    let mut starts = names.map(|(_, name)| (name.to_owned(), Vec::new())).to_vec();
    for _ in 0..STARTS {
        for ((port, _), (_, seconds)) in names.iter().zip(&mut starts) {
            let (_, took) = site.start_native(None, *port).await?;
            seconds.push(took.as_secs_f64());
            site.stop_servers();
        }
    }
    let mut servers = Vec::new();
    for (port, name) in names {
        let (pid, _) = site.start_native(None, port).await?;
        servers.push(site.log_in(name, port, pid, clients).await?);
    }
    Ok(Stored { servers, starts })
}

/// Copies a grant under other names, to expire over the next month, as grants of as many logins would.
fn copy_grant(database: &Path) -> Result<(), Failure> {
    let mut connection = Connection::open(database)?;
    let transaction = connection.transaction()?;
    transaction.execute(
        "WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ?1),
             one AS (SELECT * FROM record WHERE kind = 'grant' LIMIT 1)
         INSERT INTO record (kind, name, value, version, expires_at)
         SELECT kind, lower(hex(randomblob(16))), value, version, expires_at + i FROM one, number",
        params![GRANTS],
    )?;
    transaction.commit()?;
    Ok(())
}

const GRANTS: u32 = 1_000_000;

const STARTS: usize = 5;
