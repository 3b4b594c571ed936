/** Counts a request in one crossing between WebAssembly and JavaScript. Returns a promise of whether it is admitted. */
export async function admit(limiter, key) {
  return (await limiter.limit({ key })).success;
}
