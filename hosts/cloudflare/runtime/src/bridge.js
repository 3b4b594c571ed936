// Calls between JavaScript and WebAssembly. Each function is one crossing for a whole request, response or exchange: a
// call for each header and each chunk of a body would cost more than the work of most requests.

/** Method, URL and headers of a request, one per line. None of them can contain a line break. */
export function request_head(request) {
  return `${request.method}\n${request.url}${headerLines(request.headers)}`;
}

/** A response with the headers of `head`, one per line. `bytes` lie in WebAssembly's memory, and are copied. */
export function response(status, head, bytes) {
  return new Response(bytes?.slice(), { status, headers: headerPairs(head) });
}

/** A response whose body is a stream. */
export function streaming_response(status, head, stream) {
  return new Response(stream, { status, headers: headerPairs(head) });
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
  const headers = headerPairs(head);
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
  for (const [name, value] of headers) lines += `\n${name}:${value}`;
  return lines;
}

function headerPairs(head) {
  if (head === "") return [];
  return head.split("\n").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1)];
  });
}
