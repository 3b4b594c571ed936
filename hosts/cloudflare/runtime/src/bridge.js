// What passes between JavaScript and WebAssembly. Each function is one crossing for a whole request, response or exchange: a
// call for each header and each chunk of a body would cost more than the work that most requests cause.

/** Method, URL and headers of a request, one a line. None of them can contain a line break. */
export function request_head(request) {
  return `${request.method}\n${request.url}${lines(request.headers)}`;
}

/** A response with the headers of `head`, one a line. `bytes` are WebAssembly's memory, and are copied. */
export function response(status, head, bytes) {
  return new Response(bytes?.slice(), { status, headers: pairs(head) });
}

/** A response whose body is a stream. */
export function streaming_response(status, head, stream) {
  return new Response(stream, { status, headers: pairs(head) });
}

/** Bytes of an `ArrayBuffer` or a `Uint8Array`. */
export function bytes(buffer) {
  return new Uint8Array(buffer);
}

let settled, elapsed, takes;

/** Whom the functions below tell and ask: `onSettled(id, fulfilled, value)`, `onElapsed(id)` and `mayTake(id, bytes)`. */
export function listen(onSettled, onElapsed, mayTake) {
  settled = onSettled;
  elapsed = onElapsed;
  takes = mayTake;
}

function follow(id, promise) {
  const tell = settled;
  promise.then((value) => tell(id, true, value), (reason) => tell(id, false, reason));
}

/** Tells what becomes of `promise`. */
export { follow };

/** Tells the whole body of a message whose length is known. */
export function whole_body(id, message) {
  follow(id, message.arrayBuffer());
}

/** Tells when the client closes the connection. Needs the compatibility flag `enable_request_signal`. */
export function disconnect(id, request) {
  const tell = settled;
  request.signal.addEventListener("abort", () => tell(id, true, undefined), { once: true });
}

/** Tells when so many milliseconds have passed. */
export function timer(id, milliseconds) {
  return setTimeout(elapsed, milliseconds, id);
}

/**
 * Sends a request and reads the whole response: tells its status and headers, one a line, and its body, as a list; or "late",
 * "too large" or "too many". Asks for each part of the body whether it may be kept. Redirects are not followed. The result
 * stops the exchange.
 */
export function exchange(id, method, url, head, body, milliseconds, most) {
  const controller = new AbortController();
  const request = { method, headers: pairs(head), body: body?.slice(), redirect: "manual", signal: controller.signal };
  const mayTake = takes;
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    controller.abort();
  }, milliseconds);
  const told = async () => {
    try {
      const answer = await fetch(url, request);
      const body = await read(answer, most, (bytes) => mayTake(id, bytes));
      if (typeof body === "string") controller.abort();
      return typeof body === "string" ? body : [`${answer.status}${lines(answer.headers)}`, body];
    } catch (error) {
      if (late) return "late";
      throw error;
    } finally {
      clearTimeout(deadline);
    }
  };
  follow(id, told());
  return controller;
}

/** The body, or why it is not read. */
async function read(answer, most, mayTake) {
  if (answer.body === null) return new Uint8Array();
  const length = Number(answer.headers.get("content-length") ?? NaN);
  // The length of an encoded body says nothing of its decoded one.
  if (length <= most && !answer.headers.has("content-encoding")) {
    return mayTake(length) ? new Uint8Array(await answer.arrayBuffer()) : "too many";
  }
  const chunks = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.byteLength;
    if (size > most) return "too large";
    if (!mayTake(chunk.byteLength)) return "too many";
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

function lines(headers) {
  let text = "";
  for (const [name, value] of headers) text += `\n${name}:${value}`;
  return text;
}

function pairs(head) {
  if (head === "") return [];
  return head.split("\n").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1)];
  });
}
