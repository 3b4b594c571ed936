// Calls of the objects in record_object.js. Each function is one crossing between WebAssembly and JavaScript. Bytes in
// WebAssembly's memory are copied.

export function get(objects, name, slot, now) {
  return objects.getByName(name).get(now, slot);
}

export function put(objects, name, slot, value, expiresAt) {
  return objects.getByName(name).put(value.slice(), expiresAt, slot);
}

export function replace(objects, name, slot, expected, value, expiresAt, now) {
  return objects.getByName(name).replace(expected ?? null, value.slice(), expiresAt, now, slot);
}

export function take(objects, name, slot, now) {
  return objects.getByName(name).take(now, slot);
}

/** Only the objects of the testing Worker implement it. */
export function evict(objects, name) {
  return objects.getByName(name).fetch("https://object/");
}
