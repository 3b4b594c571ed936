// The deployed Worker in two isolates, as on Cloudflare, where every location has some. They share the namespace and the objects, and
// nothing in memory. Requests go to them in turn, or to the one in the header `x-isolate`: `first` or `second`.

import Deputy from "../../../hosts/cloudflare/worker/build/index.js";

export { GrantIndexObject, RecordObject } from "../../../hosts/cloudflare/worker/build/index.js";

let requests = 0;

export default {
  fetch(request, env, context) {
    requests += 1;
    const isolate = request.headers.get("x-isolate") ?? ["first", "second"][requests % 2];
    if (isolate === "first") return Deputy.fetch(request, env, context);
    // wrangler gives the file with variables to this Worker only.
    const variables = Object.entries(env).filter(([, value]) => typeof value === "string");
    return env.SECOND.respond(request, Object.fromEntries(variables));
  },
};
