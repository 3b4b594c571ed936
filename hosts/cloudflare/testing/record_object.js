// The objects of the tests' Worker, which can end their life in memory, as the runtime may at any moment.

import { RecordObject as Deployed } from "./deployed_record_object.js";

export class RecordObject extends Deployed {
  /** Does not come back: an object that is aborted while it answers does not answer. */
  async evict() {
    this.ctx.abort("evicted, as a test asked");
  }
}
