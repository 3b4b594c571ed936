//! Tools of documents, called through rmcp's client, with an API that records its requests.

mod attacks;
mod calls;
mod confirmation;
mod foreign;
mod listing;
mod session;
