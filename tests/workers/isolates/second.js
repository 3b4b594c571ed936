// The second isolate.

import { WorkerEntrypoint } from "cloudflare:workers";

import Deputy from "../../../hosts/cloudflare/worker/build/index.js";

export default class extends WorkerEntrypoint {
  respond(request, variables) {
    return Deputy.fetch(request, { ...this.env, ...variables }, this.ctx);
  }
}
