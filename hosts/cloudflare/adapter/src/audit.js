import { waitUntil } from "cloudflare:workers";

/**
 * Sends an audit event, which is JSON, to a queue. The response does not wait, and the runtime finishes the sending even if
 * the client disconnects. An event that cannot be sent is a line of the log.
 */
export function send_event(queue, event) {
  const sending = sent(queue, JSON.parse(event));
  try {
    waitUntil(sending);
  } catch {
    // Outside a request, the sending goes on while the isolate stays alive for another reason.
  }
}

async function sent(queue, audit) {
  try {
    await queue.send(audit);
  } catch ({ message: error }) {
    const message = "an audit event could not be sent to the queue";
    console.error(JSON.stringify({ level: "error", message, error, audit }));
  }
}
