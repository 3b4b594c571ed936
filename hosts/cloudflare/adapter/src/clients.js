// Calls of KV. Each function is one crossing between WebAssembly and JavaScript. Bytes in WebAssembly's
// memory are copied.

export function get(namespace, key) {
  return namespace.get(key, "arrayBuffer");
}

export function put(namespace, key, value, expiration) {
  return namespace.put(key, value.slice(), { expiration });
}

export function remove(namespace, key) {
  return namespace.delete(key);
}
