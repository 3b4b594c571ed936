use harness::{index_suite, memory::MemoryHost, network::Network, store_suite};

#[tokio::test]
async fn memory_store_passes_the_store_suite() {
    let host = MemoryHost::new(1, Network::default());
    let failures = store_suite::run(host.memory(), host.now(), 1).await;
    assert_eq!(failures, Vec::<String>::new());
}

#[tokio::test]
async fn memory_index_passes_the_index_suite() {
    let host = MemoryHost::new(1, Network::default());
    let failures = index_suite::run(host.memory(), host.grant_index(), host.now(), 1).await;
    assert_eq!(failures, Vec::<String>::new());
}
