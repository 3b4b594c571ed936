// Passes each request to a function of WebAssembly, which returns a response, or a promise of one if the response has to wait.
//
// The class that worker-build generates would create an object, two proxies and a promise for each request. It remains
// in use after a panic: its constructor creates a new instance of WebAssembly.

import Module from "./module.js";

const state = globalThis.__worker_init_state;

/** The handler of a Worker. `open` returns the function that responds to requests, and is called again after a panic. */
export function handler(open) {
  let respond = open();
  return {
    fetch(request, env, context) {
      if (state.criticalError) {
        new Module(context, env);
        respond = open();
      }
      try {
        return respond(request, env);
      } catch (error) {
        // An exception leaves the instance in the middle of its work.
        state.criticalError = true;
        const { response } = state;
        state.response = undefined;
        if (response === undefined) throw error;
        return response;
      }
    },
  };
}
