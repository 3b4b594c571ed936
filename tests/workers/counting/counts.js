// Counts calls between JavaScript and WebAssembly, and fetches. Imported before a Worker, it wraps what the Worker uses.

export const counts = { imports: 0, exports: 0, kv: 0, objects: 0, fetches: 0, limits: 0 };

/** `call`, which is counted as `kind`. */
export function counted(kind, call) {
  return (...args) => {
    counts[kind] += 1;
    return call(...args);
  };
}

/** The members of `module`, whose functions are counted as `kind`. */
function countedMembers(kind, module) {
  const members = Object.entries(module).map(([name, member]) => [
    name,
    typeof member === "function" ? counted(kind, member) : member,
  ]);
  return Object.fromEntries(members);
}

const { Instance } = WebAssembly;
WebAssembly.Instance = function (module, imports) {
  const modules = Object.entries(imports).map(([name, members]) => [name, countedMembers("imports", members)]);
  const instance = new Instance(module, Object.fromEntries(modules));
  return { exports: countedMembers("exports", instance.exports) };
};

globalThis.fetch = counted("fetches", globalThis.fetch.bind(globalThis));
