//! Ports for servers that tests start.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// A port of this computer that is free at the moment. It is outside the range from which the system assigns ports, so that
/// no connection takes it before the server does, and no other call in this process returns it soon.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = u16::try_from(process::id() % 97).unwrap_or_default() * 120;
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
