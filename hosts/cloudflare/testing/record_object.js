// The objects of the tests' Worker, which can end their life in memory, as the runtime may at any moment.

import { RecordObject as Deployed } from "./deployed_record_object.js";

export class RecordObject extends Deployed {
  /**
   * Does not come back: an object that is aborted does not answer. A timer does it, so that requests which the object has
   * answered already get their results.
   */
  async fetch() {
    setTimeout(() => this.ctx.abort("evicted, as a test asked"), 0);
    await new Promise(() => {});
  }
}
