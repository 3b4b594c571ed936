// Calls between JavaScript and WebAssembly. Each function is one crossing for a whole request, response or exchange: a
// call for each header and each chunk of a body would cost more than the work of most requests.

/** Method, URL and headers of a request, one per line. None of them can contain a line break. */
export function request_head(request) {
  return `${request.method}\n${request.url}${headerLines(request.headers)}`;
}

/** A response with the headers of `head`, one per line. `bytes` lie in WebAssembly's memory, and are copied. */
export function response(status, head, bytes) {
  return new Response(bytes?.slice(), { status, headers: headersOf(head) });
}

/** A response whose body is a stream. */
export function streaming_response(status, head, stream) {
  return new Response(stream, { status, headers: headersOf(head) });
}

/** The functions that settle the promises of the requests that wait, by the id of the request. */
const waiting = new Map();

/** A promise of the response to request `id`. */
export function promise(id) {
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

/** Settles the promise of request `id`. */
export function settle(id, response) {
  waiting.get(id)?.resolve(response);
  waiting.delete(id);
}

/**
 * Settles all promises after a panic. Request `running`, during which the code panicked, gets a response with `text`. The
 * other ones fail with `reason`. A request without a promise is in `entry.js`, which takes the response.
 */
export function settle_all(running, text, reason) {
  const requests = [...waiting];
  waiting.clear();
  const response = running === undefined ? undefined : new Response(text, { status: 500 });
  if (response && !requests.some(([id]) => id === running)) globalThis.__worker_init_state.response = response;
  for (const [id, { resolve, reject }] of requests) {
    if (id === running) resolve(response);
    else reject(new Error(reason));
  }
}

/** The bytes of an `ArrayBuffer` or a `Uint8Array`. */
export function bytes(buffer) {
  return new Uint8Array(buffer);
}

let complete, elapsed, mayKeep;

/** Sets the functions of WebAssembly: `onComplete(id, fulfilled, value)`, `onElapsed(id)` and `mayKeep(id, bytes)`. */
export function register(onComplete, onElapsed, mayKeepBytes) {
  complete = onComplete;
  elapsed = onElapsed;
  mayKeep = mayKeepBytes;
}

/** Completes `id` with the result of `promise`. */
export function report(id, promise) {
  const settle = complete;
  promise.then((value) => settle(id, true, value), (reason) => settle(id, false, reason));
}

/** Completes `id` with the whole body of `message`, whose length is known. */
export function whole_body(id, message) {
  report(id, message.arrayBuffer());
}

/** Completes `id` when the client closes the connection. Needs the compatibility flag `enable_request_signal`. */
export function disconnect(id, request) {
  const settle = complete;
  request.signal.addEventListener("abort", () => settle(id, true, undefined), { once: true });
}

/** Completes `id` after `milliseconds`. */
export function timer(id, milliseconds) {
  return setTimeout(elapsed, milliseconds, id);
}

/**
 * Sends a request and reads the whole response. Completes `id` with an array: status and headers, one per line, and the
 * body. Beyond a limit, completes it with "late", "too large" or "too many" instead; the meter of `id` decides about
 * each part of the body. Redirects are not followed. Returns the controller that aborts the request.
 */
export function exchange(id, method, url, head, body, milliseconds, maxBytes) {
  const controller = new AbortController();
  const headers = headersOf(head);
  const request = { method, headers, body: body?.slice(), redirect: "manual", signal: controller.signal };
  const mayKeepBytes = mayKeep;
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    controller.abort();
  }, milliseconds);
  const outcome = async () => {
    try {
      const response = await fetch(url, request);
      const body = await readBody(response, maxBytes, (bytes) => mayKeepBytes(id, bytes));
      if (typeof body === "string") controller.abort();
      return typeof body === "string" ? body : [`${response.status}${headerLines(response.headers)}`, body];
    } catch (error) {
      if (late) return "late";
      throw error;
    } finally {
      clearTimeout(deadline);
    }
  };
  report(id, outcome());
  return controller;
}

/** The body, or the limit that it exceeds. */
async function readBody(response, maxBytes, mayKeepBytes) {
  if (response.body === null) return new Uint8Array();
  const length = Number(response.headers.get("content-length") ?? NaN);
  // The length of an encoded body is not that of the decoded one.
  if (length <= maxBytes && !response.headers.has("content-encoding")) {
    return mayKeepBytes(length) ? new Uint8Array(await response.arrayBuffer()) : "too many";
  }
  const chunks = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > maxBytes) return "too large";
    if (!mayKeepBytes(chunk.byteLength)) return "too many";
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function headerLines(headers) {
  let lines = "";
  headers.forEach((value, name) => (lines += `\n${name}:${value}`));
  return lines;
}

/** Headers for a request or a response. The runtime converts an object in half the time that it takes for pairs. */
function headersOf(head) {
  const record = Object.create(null);
  if (head === "") return record;
  const lines = head.split("\n");
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    if (name in record) return headerPairs(lines);
    record[name] = line.slice(colon + 1);
  }
  return record;
}

/** Headers of which some have the same name. */
function headerPairs(lines) {
  return lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1)];
  });
}
