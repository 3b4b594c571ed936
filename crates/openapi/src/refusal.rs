//! Why a document, or an operation of it, is not served.

/// Why a document cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A key `x-deputy-*` does not exist, or is at a place to which it does not belong.
    #[error("it has a key that would have no effect: {0}")]
    Key(String),
    /// The text is not an OpenAPI document.
    #[error("it is not an OpenAPI document: it has no `openapi` with a version such as 3.1.0")]
    NotOpenApi,
    /// The overlay cannot be applied.
    #[error("the overlay cannot be applied: {0}")]
    Overlay(String),
    /// The text is in the format that preceded OpenAPI 3.
    #[error("it is Swagger 2.0: convert it to OpenAPI 3.0 first, for instance with `npx swagger2openapi`")]
    Swagger,
    /// The text is not JSON or YAML, or exceeds a bound.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// The text is larger than 16 MiB.
    #[error("it is larger than 16 MiB")]
    TooLarge,
    /// The document has too many operations.
    #[error("it has more than {0} operations")]
    TooManyOperations(usize),
    /// The document has another version.
    #[error("it is OpenAPI {0}, and only 3.0 and 3.1 can be read")]
    Version(String),
}

/// Why an operation is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Two arguments would have one name.
    #[error("two of its parameters would be the argument `{0}`")]
    AmbiguousArgument(String),
    /// A path or an operation is a reference with other members beside it.
    #[error(
        "{0} is a reference with members beside it, which would have no effect; they belong to its target"
    )]
    BesideReference(&'static str),
    /// The request body has no media type that can be sent.
    #[error("its request body is {0}; JSON, forms and plain text can be sent")]
    Body(String),
    /// References form a cycle, or a long chain.
    #[error("references of the document form a circle, or a chain of more than 100")]
    Cycle,
    /// The operation is deprecated.
    #[error("it is deprecated; x-deputy-hide: false serves it")]
    Deprecated,
    /// A reference leaves the document.
    #[error("it refers to another document: {0}")]
    ExternalReference(String),
    /// An exploded object has no declared members.
    #[error("the members of its parameter `{0}` are not declared, so that they could be other parameters")]
    FreeParameters(String),
    /// The curation hides the operation.
    #[error("x-deputy-hide hides it")]
    Hidden,
    /// The schema of the arguments is too large.
    #[error("the schema of its arguments is larger than {} KiB", .0 / 1024)]
    LargeInput(usize),
    /// A part of the document does not have its form.
    #[error("the document is malformed: {0}")]
    Malformed(&'static str),
    /// The method cannot be a tool.
    #[error("the method {0} is not served")]
    Method(String),
    /// A curation key has a value that it cannot have.
    #[error("{0} cannot be used")]
    Curation(&'static str),
    /// Two operations have the same name from the curation.
    #[error("the name `{0}` is that of another operation too")]
    NameTaken(String),
    /// No scopes are named, and nobody decided that the operation needs none.
    #[error("the document names no scopes for it; x-deputy-scopes decides which it needs, `[]` for none")]
    NoScopes,
    /// A reference leads nowhere.
    #[error("the reference {0} leads nowhere")]
    NoTarget(String),
    /// A required parameter cannot be sent.
    #[error("it requires {0}, which is not sent")]
    Parameter(String),
    /// The path of the operation cannot be a path of a request.
    #[error("its path cannot be sent: {0}")]
    Path(&'static str),
    /// All successful responses are binary.
    #[error("its response is {0}; JSON and text are passed on")]
    Response(String),
    /// The schemas of the operations before it fill the bound of a document.
    #[error("the schemas of the document's operations take more than {} MiB, with a copy for each operation; hide some of them", .0 >> 20)]
    Schemas(usize),
    /// A scope cannot be requested.
    #[error("its scope `{0}` cannot be requested")]
    Scope(String),
    /// The operation needs credentials other than the user's token.
    #[error("it needs the credentials `{0}`, and Deputy sends the user's access token alone")]
    Security(String),
}
