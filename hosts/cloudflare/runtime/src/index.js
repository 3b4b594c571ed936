// The main module of a Worker whose crate exports a function `respond`.

import { handler } from "./entry.js";
import Module from "./module.js";

export * from "./module.js";

export default handler(() => Module.prototype.respond);
