// The objects of the testing Worker. A test can evict them from memory, as the runtime may at any moment.

import { RecordObject as Deployed } from "./deployed_record_object.js";

export class RecordObject extends Deployed {
  /**
   * Evicts the object. The call itself never returns. The timer lets earlier calls of the object return their results first.
   */
  async fetch() {
    setTimeout(() => this.ctx.abort("evicted by a test"), 0);
    await new Promise(() => {});
  }
}
