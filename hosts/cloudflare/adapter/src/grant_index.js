// Calls of the object in grant_index_object.js. Each function is one crossing between WebAssembly and JavaScript.

export function list(objects, owner, client, user, after, limit, now) {
  return objects.getByName(owner).list(client ?? null, user ?? null, after, limit, now);
}

export function enter(objects, owner, id, client, user, until, now) {
  return objects.getByName(owner).enter(id, client, user, until, now);
}

export function remove(objects, owner, id) {
  return objects.getByName(owner).remove(id);
}
