//! The log, and the audit log.

use super::variable::{DefaultValue, Syntax, Variable};

pub(super) static AUDIT_ARGUMENTS: Variable = Variable {
    name: "AUDIT_ARGUMENTS",
    former_name: None,
    summary: "switch for the arguments of tool calls in the audit log",
    details: "With `on`, the audit log has the users' data that agents pass to tools, such as the text of a to-do. Limit \
              access to the log and its retention accordingly. The SHA-256 of the arguments is there in any case.",
    syntax: Syntax::Choice(&[
        ("on", "an event of a tool call has the arguments, as at most 4 KiB of JSON"),
        ("off", "it has only their SHA-256"),
    ]),
    default: DefaultValue::Value("off"),
    example: Some("on"),
    on_workers: None,
    secret: false,
};

pub(super) static LOG_USERNAMES: Variable = Variable {
    name: "LOG_USERNAMES",
    former_name: None,
    summary: "switch for usernames in the log",
    details: "With `on`, lines of the log name the user by `username` beside `user`, the identifier at PingOne. A username is \
              personal data, and often an e-mail address: limit access to the log and its retention accordingly.",
    syntax: Syntax::Choice(&[
        ("on", "lines of a user's requests have the username, if PingOne shares it"),
        ("off", "they have the user's identifier at PingOne only"),
    ]),
    default: DefaultValue::Value("off"),
    example: Some("on"),
    on_workers: None,
    secret: false,
};
