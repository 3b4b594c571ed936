// The deployed Worker, with counters around it. `GET /counts` returns the counts of the isolate.

// First, because it wraps what the next module uses.
import { counted, counts } from "./counts.js";
import Deputy from "../../../hosts/cloudflare/worker/build/index.js";

export { GrantIndexObject, RecordObject } from "../../../hosts/cloudflare/worker/build/index.js";

let bindings;

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname === "/counts") return Response.json(counts);
    bindings ??= countedBindings(env);
    // Requests without a public remote address are not limited.
    const fromInternet = new Request(request);
    fromInternet.headers.set("cf-connecting-ip", "203.0.113.1");
    return Deputy.fetch(fromInternet, bindings, context);
  },
};

function countedBindings(env) {
  const limits = ["AUTHORIZE_RATE", "REGISTER_RATE", "TOKEN_RATE"].map((name) => [name, countedMethods("limits", env[name])]);
  const objects = ["GRANTS", "RECORDS"].map((name) => [name, countedObjects(env[name])]);
  return {
    ...env,
    ...Object.fromEntries(limits),
    OAUTH_KV: countedMethods("kv", env.OAUTH_KV),
    ...Object.fromEntries(objects),
  };
}

/** `namespace`, the calls of whose objects are counted. */
function countedObjects(namespace) {
  const getByName = (name) => countedMethods("objects", namespace.getByName(name));
  return new Proxy(namespace, { get: (target, name) => (name === "getByName" ? getByName : target[name]) });
}

/** `binding`, whose methods are counted as `kind`. */
function countedMethods(kind, binding) {
  const method = (target, name) => counted(kind, (...args) => target[name](...args));
  return new Proxy(binding, { get: (target, name) => (name === "constructor" ? target[name] : method(target, name)) });
}
