// The main module of the folder deputy/ that operators put beside their document.

import { handler } from "./entry.js";
import { OpenApi } from "./module.js";

/**
 * Deputy with the operations of `openapi`, the text of an OpenAPI document, as its tools. `overlay` is the text of an overlay,
 * if there is one. Throws if the document cannot be served, so that a deployment of it fails.
 */
export function deputy(openapi, overlay) {
  return handler(() => {
    const tools = new OpenApi(openapi, overlay);
    return (request, env) => tools.respond(request, env);
  });
}
