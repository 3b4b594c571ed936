//! Deputy on PostgreSQL: one, two and three replicas, beside one process on SQLite. The clients are spread over the replicas.

use crate::{
    Failure,
    servers::{Server, Site},
};

/// Starts all of them, and logs in. Each number of replicas has a database of its own on the same server.
pub(crate) async fn start(site: &mut Site, clients: usize) -> Result<Vec<Server>, Failure> {
    let port = site.ports().native;
    let (pid, _) = site.start_native(None, port).await?;
    let mut servers = vec![site.log_in("SQLite", port, pid, clients).await?];
    let mut next = site.ports().replicas;
    for count in 1..=MOST {
        let url = site.database().database("");
        let public = next;
        let mut replicas = Vec::new();
        for _ in 0..count {
            let (pid, _) = site.start_replica(None, next, public, Some(&url)).await?;
            replicas.push((pid, next));
            next += 1;
        }
        let plural = if count == 1 { "" } else { "s" };
        let name = format!("PostgreSQL, {count} replica{plural}");
        servers.push(site.log_in_at_replicas(&name, &replicas, clients).await?);
    }
    Ok(servers)
}

const MOST: u16 = 3;
