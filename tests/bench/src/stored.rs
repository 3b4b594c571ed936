//! The cost of a million stored grants: a native Deputy with them beside one without, on SQLite and on PostgreSQL, and how long
//! each takes to start.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::{
    Failure,
    servers::{Server, Site},
};

/// The servers, and the seconds that each start took.
pub(crate) struct Stored {
    pub(crate) servers: Vec<Server>,
    pub(crate) starts: Vec<(String, Vec<f64>)>,
}

/// One of the servers.
struct Deputy {
    name: &'static str,
    port: u16,
    /// The database, unless it is a file.
    store: Option<String>,
    is_full: bool,
}

/// Starts all of them several times in turn, and logs in.
pub(crate) async fn start(site: &mut Site, clients: usize) -> Result<Stored, Failure> {
    let ports = site.ports();
    let mut database = || Some(site.database().database(""));
    let deputies = [
        Deputy { name: "SQLite, 1,000,000 grants", port: ports.native, store: None, is_full: true },
        Deputy { name: "SQLite, no grants", port: ports.native_before, store: None, is_full: false },
        Deputy {
            name: "PostgreSQL, 1,000,000 grants",
            port: ports.replicas,
            store: database(),
            is_full: true,
        },
        Deputy { name: "PostgreSQL, no grants", port: ports.replicas + 1, store: database(), is_full: false },
    ];
    for Deputy { name, port, store, .. } in deputies.iter().filter(|deputy| deputy.is_full) {
        // One login leaves the grant that is copied.
        let (pid, _) = site.start_replica(None, *port, *port, store.as_deref()).await?;
        site.log_in("Deputy", *port, pid, 1).await?;
        site.stop_servers();
        eprintln!("{name}: storing them");
        match store {
            Some(url) => drop(site.database().sql_at(url, COPY_IN_POSTGRES)),
            None => copy_in_sqlite(&site.folder(*port).join("deputy.sqlite3"))?,
        }
    }

    let mut starts: Vec<_> = deputies.iter().map(|deputy| (deputy.name.to_owned(), Vec::new())).collect();
    for _ in 0..STARTS {
        for (Deputy { port, store, .. }, (_, seconds)) in deputies.iter().zip(&mut starts) {
            let (_, took) = site.start_replica(None, *port, *port, store.as_deref()).await?;
            seconds.push(took.as_secs_f64());
            site.stop_servers();
        }
    }
    let mut servers = Vec::new();
    for Deputy { name, port, store, .. } in deputies {
        let (pid, _) = site.start_replica(None, port, port, store.as_deref()).await?;
        servers.push(match store {
            Some(_) => site.log_in_at_replicas(name, &[(pid, port)], clients).await?,
            None => site.log_in(name, port, pid, clients).await?,
        });
    }
    Ok(Stored { servers, starts })
}

/// Copies a grant under other names, to expire over the next month, as grants of as many logins would.
fn copy_in_sqlite(database: &Path) -> Result<(), Failure> {
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

/// Copies a grant as [`copy_in_sqlite`] does. The statistics of the tables are renewed, as autovacuum does after a while.
const COPY_IN_POSTGRES: &str = "
    INSERT INTO deputy_record (kind, name, value, version, expires_at)
    SELECT kind, replace(gen_random_uuid()::text, '-', ''), value, version, expires_at + i
    FROM (SELECT * FROM deputy_record WHERE kind = 'grant' LIMIT 1) AS one, generate_series(1, 1000000) AS i;
    ANALYZE deputy_record";

const STARTS: usize = 5;
