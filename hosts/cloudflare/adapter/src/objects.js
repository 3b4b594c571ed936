// Calls of the objects in record_object.js. Each function is one crossing between WebAssembly and JavaScript. Bytes in
// WebAssembly's memory are copied.

export function get(objects, name, now) {
  return objects.getByName(name).get(now);
}

export function put(objects, name, value, expiresAt) {
  return objects.getByName(name).put(value.slice(), expiresAt);
}

export function replace(objects, name, expected, value, expiresAt, now) {
  return objects.getByName(name).replace(expected ?? null, value.slice(), expiresAt, now);
}

export function take(objects, name, now) {
  return objects.getByName(name).take(now);
}

/** Only the objects of the testing Worker implement it. */
export function evict(objects, name) {
  return objects.getByName(name).fetch("https://object/");
}
